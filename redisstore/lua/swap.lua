-- Makes what was staged the pool, in one step. Needs prelude and
-- held.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}   KEYS[5], KEYS[6] the
-- staged definitions and order
-- ARGV  1 replace, reorder or delete   2 the structure revision that the caller
--       saw   3 the number of providers staged   4 1: some were removed, whose
--       state is left to be swept   5 who has asked the others to wait, or ''
--       6 the number of old ids that end as they are taken, and they   then for each provider that gets a new state: id,
--       number of fields, and that many pairs of field and literal
-- Result: held where it has to wait; ok; ~ where the structure changed; gone where the stage has expired.
local FIELDS = {'usageCount', 'errorCount', 'refreshCount', 'lastUsed', 'lastErrorTime', 'lastErrorMessage', 'isHealthy',
  'lastHealthCheckTime', 'lastHealthCheckModel', 'needsRefresh', 'scheduledRecoveryTime', 'lastRefreshTime',
  '_lastSelectionSeq', 'decidedAt'}
local op, staged, who = ARGV[FIRST], tonumber(ARGV[FIRST + 2]), ARGV[FIRST + 4]
if held(who) then return finish('held', '', '') end
if (ctl[3] or '0') ~= ARGV[FIRST + 1] then return finish('~', '', '') end
if op == 'delete' then
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
  redis.call('HDEL', KEYS[1], 'sweep', 'hold', 'counted')
  local answer = finish('ok', 'delete', '', true)
  redis.call('HSET', KEYS[1], 'dead', '1')
  redis.call('PEXPIRE', KEYS[1], LIFE)
  return answer
end
redis.call('HLEN', KEYS[2]) -- fails here, before anything is written, where that is no hash
if staged > 0 and redis.call('ZCARD', KEYS[6]) ~= staged then return finish('gone', '', '') end
if op == 'replace' and staged > 0 and redis.call('HLEN', KEYS[5]) ~= staged then return finish('gone', '', '') end
redis.call('UNLINK', KEYS[4])
if op == 'replace' then
  redis.call('UNLINK', KEYS[3])
  if staged > 0 then
    redis.call('RENAME', KEYS[5], KEYS[3])
    redis.call('PERSIST', KEYS[3])
  end
  if staged == 0 then
    redis.call('UNLINK', KEYS[2])
    redis.call('HDEL', KEYS[1], 'sweep', 'counted')
  elseif ARGV[FIRST + 3] == '1' then
    redis.call('HSET', KEYS[1], 'sweep', '1')
  end
end
if staged > 0 then
  redis.call('RENAME', KEYS[6], KEYS[4])
  redis.call('PERSIST', KEYS[4])
end
local i = FIRST + 6 + tonumber(ARGV[FIRST + 5])
for j = FIRST + 6, i - 1 do redis.call('HDEL', KEYS[1], 'a:' .. ARGV[j]) end
while i <= #ARGV do
  local id, n = ARGV[i], tonumber(ARGV[i + 1])
  i = i + 2
  for _, f in ipairs(FIELDS) do redis.call('HDEL', KEYS[2], id .. ':' .. f) end
  for _ = 1, n do
    redis.call('HSET', KEYS[2], id .. ':' .. ARGV[i], ARGV[i + 1])
    i = i + 2
  end
end
if who ~= '' then redis.call('HDEL', KEYS[1], 'hold') end
return finish('ok', op, '', true)
