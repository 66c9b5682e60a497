-- Adds to usageCount, and moves lastUsed forward. Needs prelude and count.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- ARGV  m, the number of rows; then for each row "<id>:usageCount" and
--       "<id>:lastUsed"; then for each row n; then for each row the literal of
--       lastUsed; then s, the number of seeds, and for each seed the number of
--       its row, the count and the literal of lastUsed in the definition, and
--       the SHA-1 of that.
-- Results: for each row the new count, or
--   ?   the state lacks one of the two, and no seed fits the definition
--   !   there is no such provider     ><id>  it was renamed to that one
local m = tonumber(ARGV[FIRST])
local names, counts, times = FIRST + 1, FIRST + 2 * m, FIRST + 3 * m
local old = redis.call('HMGET', KEYS[2], unpack(ARGV, names, names + 2 * m - 1))
local seeds
local set, results, body, k, b = {}, {}, {}, 0, 0

-- seed returns the count and lastUsed of a definition, or why not.
local function seed(row, id)
  local def = redis.call('HGET', KEYS[3], id)
  if not def then
    local to = alias(KEYS[3], id)
    return nil, to and '>' .. escape(to) or '!'
  end
  if not seeds then
    seeds = {}
    local at = FIRST + 4 * m + 1
    for i = 1, tonumber(ARGV[at]) do
      seeds[tonumber(ARGV[at + 1])] = {ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]}
      at = at + 4
    end
  end
  local s = seeds[row]
  if s and redis.sha1hex(def) == s[3] then return s, nil end
  return nil, '?'
end

for i = 1, m do
  local v, was, field = old[2 * i - 1], old[2 * i], ARGV[names + 2 * i - 2]
  local from, refused
  -- While the state of providers that a replacement removed is being swept,
  -- having a state is no sign of being in the pool.
  if not v or not was or (ctl[5] and not redis.call('ZSCORE', KEYS[4], string.sub(field, 1, -12))) then
    from, refused = seed(i, string.sub(field, 1, -12))
  end
  if refused then
    results[i] = refused
  else
    v = add(toint(v or from[1]), tonumber(ARGV[counts + i]))
    was = was or from[2]
    results[i] = v
    set[k + 1], set[k + 2] = field, v
    k = k + 2
    body[b + 1] = #field .. ':' .. field .. ',' .. #v .. ':' .. v .. ','
    b = b + 1
    local is = ARGV[times + i]
    if #was ~= 26 or was < is or not string.find(was, '^"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"$') then
      local name = ARGV[names + 2 * i - 1]
      set[k + 1], set[k + 2] = name, is
      k = k + 2
      body[b + 1] = #name .. ':' .. name .. ',' .. #is .. ':' .. is .. ','
      b = b + 1
    end
  end
end
if k > 0 then redis.call('HSET', KEYS[2], unpack(set)) end
return finish(table.concat(results, ','), k > 0 and 'state' or '', table.concat(body))
