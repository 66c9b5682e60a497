-- Adds to usageCount under idempotency keys, each of which counts once in its
-- life. Needs prelude and count. What it means is that of usage.lua, row by row.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- KEYS[5] and on: once:{K}:KEY of each row
-- ARGV  m, the number of rows; then 8 for each row:
--   1 id  2 n  3 at as a literal  4 SHA-1 of the definition that the following
--   literals were read from: 5 usageCount 6 lastUsed
--   7 the id that the op was given, where it was sent on from that
--   8 what the key stands for: n and the id that the op was given
-- Results: the new count of the row; =<count>:<id> where its key has counted
-- already, as it was then; # where its key stands for something else; or ? ! >id
-- as in usage.lua. A row that was not applied has not used its key.
local KEYLIFE = '86400000' -- a day
local m = tonumber(ARGV[FIRST])
local results, providers, order, seen = {}, {}, {}, {}

-- load reads what a provider has counted, once per batch.
local function load(id)
  local p = providers[id]
  if p ~= nil then return p end
  if redis.call('HEXISTS', KEYS[3], id) == 1 then
    local got = redis.call('HMGET', KEYS[2], id .. ':usageCount', id .. ':lastUsed')
    p = {id = id, count = got[1], used = got[2]}
    order[#order + 1] = p
  else
    local to = alias(KEYS[3], id)
    p = to and '>' .. escape(to) or '!'
  end
  providers[id] = p
  return p
end

-- leads follows the ids that a provider had to the last one, be it there still
-- or not.
local function leads(id)
  while redis.call('HEXISTS', KEYS[3], id) == 0 do
    local till, to = string.match(redis.call('HGET', KEYS[1], 'a:' .. id) or '', '^(%d+) (.*)$')
    if not till or tonumber(till) <= tonumber(NOW) then break end
    id = to
  end
  return id
end

-- same tells whether two marks are of one increment: their numbers are the same,
-- and the ids lead to one provider.
local function same(mark, other)
  if mark == other then return true end
  local n, id = string.match(mark, '^(%d+) (.*)$')
  local m, to = string.match(other, '^(%d+) (.*)$')
  return n ~= nil and n == m and leads(id) == leads(to)
end

-- counted is what a key has counted and for whom, or nothing.
local function counted(name, mark)
  local kept = seen[name] or redis.call('GET', name)
  if not kept then return nil end
  local till, count, len, rest = string.match(kept, '^(%d+) (%-?%d+) (%d+) (.*)$')
  if not till or tonumber(till) <= tonumber(NOW) then return nil end
  if not same(string.sub(rest, tonumber(len) + 1), mark) then return '#' end
  return '=' .. count .. ':' .. escape(string.sub(rest, 1, tonumber(len)))
end

local function work(at, name)
  local id, from, mark = ARGV[at], ARGV[at + 6], ARGV[at + 7]
  local before = counted(name, mark)
  if before then return before end
  if from ~= '' then
    -- The old id must still lead to where the op was sent on to.
    local to = redis.call('HEXISTS', KEYS[3], from) == 1 and from or alias(KEYS[3], from)
    if not to then return '!' elseif to ~= id then return '>' .. escape(to) end
  end
  local p = load(id)
  if type(p) == 'string' then return p end
  if not p.count or not p.used then
    if redis.sha1hex(redis.call('HGET', KEYS[3], id)) ~= ARGV[at + 3] then return '?' end
    p.count, p.used = p.count or ARGV[at + 4], p.used or ARGV[at + 5]
  end
  p.count, p.changed = add(toint(p.count), tonumber(ARGV[at + 1])), true
  local now = ARGV[at + 2]
  if p.used < now or not string.find(p.used, '^"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"$') then p.used = now end
  seen[name] = string.format('%.0f', tonumber(NOW) + tonumber(KEYLIFE)) .. ' ' .. p.count .. ' ' .. #id .. ' ' .. id .. mark
  return p.count
end

for i = 1, m do results[i] = work(FIRST + 8 * i - 7, KEYS[4 + i]) end

local set = {}
for _, p in ipairs(order) do
  if p.changed then
    local k = #set
    set[k + 1], set[k + 2], set[k + 3], set[k + 4] = p.id .. ':usageCount', p.count, p.id .. ':lastUsed', p.used
  end
end
local body = table.concat(set, '\0')
if #set > 0 then
  redis.call('HSET', KEYS[2], TABLE, '', unpack(set))
  for name, kept in pairs(seen) do redis.call('SET', name, kept, 'PX', KEYLIFE) end
end
return finish(table.concat(results, ','), #set > 0 and 'state' or '', body)
