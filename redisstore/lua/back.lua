-- Puts a key back that Redis has lost, or the part of it that Redis has lost, from the
-- copy that an instance has of it. It belongs to no batch, as it may be repeated.
--
-- KEYS[1] ctl:{K}   KEYS[2] K; of a pool also KEYS[3] state:{K}, KEYS[4] order:{K}, and
--         where there is a copy KEYS[5], KEYS[6] its definitions and order, staged
-- ARGV  1 epoch   2 writer id   3 PUBLISH or SPUBLISH   4 channel
--       5 pool, value, hash or types   6 the number of the revision that the copy is
--       of, or '' where there is none
--       then of a pool its structure revision, how many providers are staged, and pairs
--       of name in the state and literal; of a value its bytes, its expiry in ms or '',
--       and its revision; of a hash pairs of field and bytes; of the types they
-- Answers
--   THERE   nothing is lost
--   NONE    there is nothing here, and no copy either
--   STAGE   the stage has expired
--   BACK    what was lost is there again, as far as the copy has it
--   KEPT    only ctl was lost, and is begun anew: the counts are here
--   BARE    the counts were lost, and there is no copy
local EPOCH, kind, copy = ARGV[1], ARGV[5], ARGV[6]
local ctl = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'srev', 'counted', 'dead', 'empty')
if ctl[1] and ctl[1] ~= EPOCH then return 'THERE' end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function number(rev) return tonumber(string.match(rev or '0', '^%d+')) end
local answer, upto = 'BACK', copy == '' and '0' or copy

if kind == 'pool' then
  local defined, counted = redis.call('EXISTS', KEYS[2]) == 1, redis.call('EXISTS', KEYS[3]) == 1
  local uncounted = ctl[4] and not counted -- the counts alone were lost
  local lacks = not ctl[5] and not ctl[6] and not (defined and redis.call('EXISTS', KEYS[4]) == 1)
  -- Of a pool whose ctl is here, only as it is here: a copy that is behind is none.
  local mends = lacks and copy ~= '' and (not ctl[1] or uncounted or ARGV[7] == (ctl[3] or '0'))
  if ctl[1] and not uncounted and not mends then return 'THERE' end
  if not ctl[1] and copy == '' and not counted and not defined then return 'NONE' end
  if mends then
    local staged = tonumber(ARGV[8])
    if staged > 0 and (redis.call('HLEN', KEYS[5]) ~= staged or redis.call('ZCARD', KEYS[6]) ~= staged) then return 'STAGE' end
    if not defined and staged > 0 then
      redis.call('RENAME', KEYS[5], KEYS[2])
      redis.call('PERSIST', KEYS[2])
    end
    if staged > 0 then -- of definitions that are here, the order is that of the copy
      redis.call('RENAME', KEYS[6], KEYS[4])
      redis.call('PERSIST', KEYS[4])
    end
  end
  if ctl[1] and not uncounted then return 'BACK' end
  if counted then
    answer = 'KEPT'
  elseif copy == '' then
    answer = 'BARE'
  else
    for i = 9, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
  end
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  return 'THERE' -- a value that was imported has no ctl until it is changed
elseif copy == '' then
  return ctl[1] and 'THERE' or 'NONE'
elseif ctl[1] then
  -- It alone was lost where nothing has happened to it since the copy was made.
  if kind == 'value' and not ctl[5] and ctl[2] == ARGV[9] then
    redis.call('SET', KEYS[2], ARGV[7], unpack(ARGV[8] ~= '' and {'PXAT', ARGV[8]} or {}))
  elseif kind == 'hash' and not ctl[6] then
    for i = 7, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
  else
    return 'THERE'
  end
  return 'BACK'
elseif kind == 'hash' then
  for i = 7, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
elseif kind == 'types' then
  for i = 7, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
elseif ARGV[8] == '' then
  redis.call('SET', KEYS[2], ARGV[7])
else
  redis.call('SET', KEYS[2], ARGV[7], 'PXAT', ARGV[8])
end

-- What the writers have had executed is known by the revision from now on.
local all, gone = redis.call('HGETALL', KEYS[1]), {'counted'}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'w:' then gone[#gone + 1] = all[i] end
  if #gone == 4000 then
    redis.call('HDEL', KEYS[1], unpack(gone))
    gone = {'counted'}
  end
end
redis.call('HDEL', KEYS[1], unpack(gone))
-- The revision is above any that there was: no copy counts as newer than what is here.
-- That of the structure is the one that the copy knows it by.
local next = string.format('%.0f', math.max(now, tonumber(upto) + 1, number(ctl[2]) + 1))
local rev = next .. ' ' .. ARGV[2] .. ' 0'
if answer == 'KEPT' then upto = next end -- the counts have everything
local set = {'epoch', EPOCH, 'rev', rev, 'upto', upto .. ' ' .. string.format('%.0f', now)}
if kind == 'pool' then
  set[7], set[8] = 'srev', copy ~= '' and ARGV[7] or rev
  if redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HSET', KEYS[3], TABLE, '')
    set[9], set[10] = 'counted', '1'
  end
elseif kind == 'value' and ARGV[8] ~= '' then
  set[7], set[8], set[9], set[10] = 'expiry', ARGV[8], 'dead', '1'
end
redis.call('HSET', KEYS[1], unpack(set))
if set[7] == 'expiry' then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(ARGV[8]) + 2592000000)) end
local function netstring(s) return #s .. ':' .. s .. ',' end
redis.pcall(ARGV[3], ARGV[4], '1' .. netstring(KEYS[1]) .. netstring(ctl[2] or '0') .. netstring(rev) .. netstring(kind))
return answer
