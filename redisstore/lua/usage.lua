-- Adds to usageCount, and moves lastUsed forward. Needs prelude and count.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- ARGV  m, the number of rows, one for each provider; for each row
--       "<id>:usageCount" and "<id>:lastUsed"; g, the number of groups that the
--       rows are in, in their order; for each group how many rows, what to add,
--       and the literal of lastUsed; s, the number of seeds; for each seed the
--       number of its row, the count and the literal of lastUsed in the
--       definition, and the SHA-1 of that; then, for each row that an op under
--       an old id is in, the number of the row and that id.
-- Results: for each row the new count, or
--   ?   the state lacks one of the two, and no seed fits the definition
--   !   there is no such provider     ><id>  it was renamed to that one
local m = tonumber(ARGV[FIRST])
local names, group = FIRST + 1, FIRST + 2 * m + 1
local old = redis.call('HMGET', KEYS[2], unpack(ARGV, names, names + 2 * m - 1))
local set, results, k = {}, {}, 0
local at = group + 3 * tonumber(ARGV[group]) + 1
local seeds, moved = {}, {}
for _ = 1, tonumber(ARGV[at]) do
  seeds[tonumber(ARGV[at + 1])] = {ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]}
  at = at + 4
end
for i = at + 1, #ARGV, 2 do
  -- The old id must still lead to where the op was sent on to.
  local row, id = tonumber(ARGV[i]), ARGV[i + 1]
  local to = redis.call('HEXISTS', KEYS[3], id) == 1 and id or alias(KEYS[3], id)
  if not to then
    moved[row] = '!'
  elseif to .. ':usageCount' ~= ARGV[names + 2 * row - 2] then
    moved[row] = '>' .. escape(to)
  end
end

-- seed returns the count and lastUsed of a definition, or why not.
local function seed(row, id)
  local def = redis.call('HGET', KEYS[3], id)
  if not def then
    local to = alias(KEYS[3], id)
    return nil, to and '>' .. escape(to) or '!'
  end
  local s = seeds[row]
  if s and redis.sha1hex(def) == s[3] then return s, nil end
  return nil, '?'
end

local g, left, n, now = group - 2, 0, 0, ''
local find = string.find
for i = 1, m do
  if left == 0 then
    g = g + 3
    left, n, now = tonumber(ARGV[g]), tonumber(ARGV[g + 1]), ARGV[g + 2]
  end
  left = left - 1
  local v, was, field = old[2 * i - 1], old[2 * i], ARGV[names + 2 * i - 2]
  local from, refused = nil, moved[i]
  -- While the state of providers that a replacement removed is being swept,
  -- having a state is no sign of being in the pool.
  if not refused and (not v or not was or (ctl[5] and not redis.call('ZSCORE', KEYS[4], string.sub(field, 1, -12)))) then
    from, refused = seed(i, string.sub(field, 1, -12))
  end
  if refused then
    results[i] = refused
  else
    v, was = v or from[1], was or from[2]
    local x = tonumber(v)
    if x and x >= 0 and x % 1 == 0 and x + n < 1e14 then
      v = x + n .. '' -- up to fourteen digits are written exactly
    else
      v = add(toint(v), n)
    end
    results[i] = v
    set[k + 1], set[k + 2] = field, v
    k = k + 2
    if was ~= now and (was < now or not find(was, '^"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"$')) then
      set[k + 1], set[k + 2] = ARGV[names + 2 * i - 1], now
      k = k + 2
    end
  end
end
if k > 0 then redis.call('HSET', KEYS[2], unpack(set)) end
return finish(table.concat(results, ','), k > 0 and 'state' or '', table.concat(set, '\0'))
