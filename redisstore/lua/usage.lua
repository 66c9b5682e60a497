-- Adds to usageCount, and moves lastUsed forward. Needs prelude and count.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- ARGV  the revision of the pool at which the writer knows the state of all of
--       its rows, or nothing; m, the number of rows, one for each provider;
--       what each adds, in one text; the literals of when each was used, 26
--       bytes each, in one text; q, the number of arguments that follow for the
--       rows: for each "<id>:usageCount" and what that becomes at that revision,
--       and where it is another one "<id>:lastUsed" and that literal; s, the
--       number of seeds; for each seed the number of its row, the count and
--       the literal of lastUsed in the definition, and the SHA-1 of that; then,
--       for each row that an op under an old id is in, the number of the row
--       and that id.
-- Results: = where all became as the writer said; or for each row the new count
-- (after a ^ where lastUsed was later already), or
--   ?   the state lacks one of the two, and no seed fits the definition
--   !   there is no such provider     ><id>  it was renamed to that one
local first = FIRST + 5
local last = first + tonumber(ARGV[FIRST + 4]) - 1
if ctl[2] == ARGV[FIRST] then
  -- Nobody has changed the pool since: no need to read what the writer knows.
  redis.call('HSET', KEYS[2], unpack(ARGV, first, last))
  return finish('=', 'state', table.concat(ARGV, '\0', first, last))
end
local m, names = tonumber(ARGV[FIRST + 1]), {}
for i = first, last, 2 do
  local field = ARGV[i]
  if string.sub(field, -11) == ':usageCount' then
    names[#names + 1] = field
    names[#names + 1] = string.sub(field, 1, -12) .. ':lastUsed'
  end
end
local old = redis.call('HMGET', KEYS[2], unpack(names))
local set, results, k = {}, {}, 0
local at = last + 1
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
  elseif to .. ':usageCount' ~= names[2 * row - 1] then
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

local added = string.gmatch(ARGV[FIRST + 2], '%d+')
local find = string.find
for i = 1, m do
  local n, now = tonumber(added()), string.sub(ARGV[FIRST + 3], 26 * i - 25, 26 * i)
  local v, was, field = old[2 * i - 1], old[2 * i], names[2 * i - 1]
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
    if was ~= now then
      if was < now or not find(was, '^"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"$') then
        set[k + 1], set[k + 2] = names[2 * i], now
        k = k + 2
      else
        results[i] = '^' .. v
      end
    end
  end
end
local body = table.concat(set, '\0')
if k > 0 then
  set[k + 1], set[k + 2] = TABLE, ''
  redis.call('HSET', KEYS[2], unpack(set))
end
return finish(table.concat(results, ','), k > 0 and 'state' or '', body)
