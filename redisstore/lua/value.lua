-- Changes values: a string, or fields of a hash. Needs prelude.
--
-- KEYS[2] the key
-- ARGV  1 1: the key is a hash   2 m, the number of rows; then 5 for each row:
--   1 field   2 put or del   3 what the caller saw: absent, any, the SHA-1 of
--   the bytes, or =<length> <revision> for one that is too big to be hashed here
--   4 the bytes   5 expiry in ms, or ''; then when it was decided, in ms, where
--   it comes late, or ''; with a - before it where it builds on what is there
-- Results: for each row 1, 0 where nothing had to change, ~ where the value is not
-- as the caller saw it, or < where somebody else has changed it after that time.
local hash, m = ARGV[FIRST] == '1', tonumber(ARGV[FIRST + 1])
local results, body, plan = {}, {}, {}
local decided = ARGV[FIRST + 2 + 5 * m]
local since, author = '0', WRITER
local builds = string.sub(decided, 1, 1) == '-'
if builds then decided = string.sub(decided, 2) end
if decided ~= '' then since, author = string.match(redis.call('HGET', KEYS[1], 'at') or '0 -', '^(%d+) (%S+)$') end
for i = 1, m do
  local at = FIRST + 2 + 5 * (i - 1)
  local field, op, expect, data, expiry = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local cur
  if hash then cur = redis.call('HGET', KEYS[2], field) else cur = redis.call('GET', KEYS[2]) end
  local fits
  if expect == 'any' then
    fits = true
  elseif expect == 'absent' then
    fits = not cur
  elseif string.sub(expect, 1, 1) == '=' then
    fits = cur and '=' .. #cur .. ' ' .. (ctl[2] or '0') == expect
  else
    fits = cur and redis.sha1hex(cur) == expect
  end
  if not fits then
    results[i] = '~'
  elseif decided ~= '' and not builds and author ~= WRITER and tonumber(since) > tonumber(decided) then
    results[i] = '<'
  elseif op == 'del' then
    results[i] = cur and '1' or '0'
    if cur then plan[#plan + 1] = {field} end
  elseif cur == data and (hash or expiry == (redis.call('HGET', KEYS[1], 'expiry') or '')) then
    results[i] = '0'
  else
    results[i] = '1'
    plan[#plan + 1] = {field, data, expiry}
  end
end
for i, p in ipairs(plan) do
  body[i] = netstring(p[1])
  if hash then
    if p[2] then redis.call('HSET', KEYS[2], p[1], p[2]) else redis.call('HDEL', KEYS[2], p[1]) end
  elseif not p[2] then
    redis.call('DEL', KEYS[2])
  elseif p[3] ~= '' then
    redis.call('SET', KEYS[2], p[2], 'PXAT', p[3])
  else
    redis.call('SET', KEYS[2], p[2])
  end
end
if hash and #plan > 0 then -- one that has no field is not one that was lost
  if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('HSET', KEYS[1], 'empty', '1') elseif ctl[9] then redis.call('HDEL', KEYS[1], 'empty') end
end
local answer = finish(table.concat(results, ','), #plan > 0 and 'value' or '', table.concat(body))
local last = plan[#plan]
if last and not hash then
  local at = decided ~= '' and decided or string.format('%.0f', clock())
  -- What comes late leaves the time of a later change as it is.
  if decided == '' or tonumber(since) <= tonumber(decided) then redis.call('HSET', KEYS[1], 'at', at .. ' ' .. WRITER) end
  -- What is remembered of a value outlives it, but not for ever.
  if not last[2] then
    redis.call('HDEL', KEYS[1], 'expiry')
    redis.call('HSET', KEYS[1], 'dead', '1')
    redis.call('PEXPIRE', KEYS[1], LIFE)
  elseif last[3] ~= '' then
    redis.call('HSET', KEYS[1], 'expiry', last[3])
    redis.call('HSET', KEYS[1], 'dead', '1')
    redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(tonumber(last[3]), tonumber(NOW)) + LIFE))
  else
    redis.call('HDEL', KEYS[1], 'expiry')
  end
end
return answer
