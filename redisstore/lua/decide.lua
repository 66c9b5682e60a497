-- Ops on runtime state other than plain usage, in their order; what they mean
-- is said at the op kinds. Needs prelude and count. Where the ops were queued,
-- one that was decided before the last decision on its provider changes nothing
-- of the health group.
--
-- KEYS[2] state:{K}   KEYS[3] K   KEYS[4] order:{K}
-- ARGV  m, the number of rows; then 23 for each row:
--   1 id  2 kind  3 at in ms  4 at as a literal  5 message literal or ''
--   6 model literal or ''  7 threshold  8 recovery literal or ''  9 n
--   10 flags: h healthy, i immediate, u usage  11 SHA-1 of the definition that
--   the following literals were read from: 12 usageCount 13 errorCount
--   14 refreshCount 15 lastUsed 16 lastErrorTime 17 isHealthy 18 lastRefreshTime
--   19 the id that the op was given, where it was sent on from that
--   20 a literal of lastErrorTime, and 21 what it is in ms, or '' for no time
--   22, 23 the same of lastRefreshTime
-- Results: for each row "<count>:<healthy 0|1>:<changed 0|1>", or ? ! >id as in
-- usage.lua.
local FIELDS = {'usageCount', 'errorCount', 'refreshCount', 'lastUsed', 'lastErrorTime', 'isHealthy', 'lastRefreshTime',
  'lastErrorMessage', 'lastHealthCheckTime', 'lastHealthCheckModel', 'needsRefresh', 'scheduledRecoveryTime',
  '_lastSelectionSeq', 'decidedAt'}
local NF = #FIELDS
local m = tonumber(ARGV[FIRST])
local providers, order = {}, {}

-- load reads the whole state of a provider once per batch.
local function load(id)
  local p = providers[id]
  if p ~= nil then return p end
  if redis.call('HEXISTS', KEYS[3], id) == 1 then
    local names = {}
    for i = 1, NF do names[i] = id .. ':' .. FIELDS[i] end
    local got = redis.call('HMGET', KEYS[2], unpack(names))
    p = {id = id, now = {}, was = {}}
    for i = 1, NF do
      if got[i] then p.now[FIELDS[i]], p.was[FIELDS[i]] = got[i], got[i] end
    end
    order[#order + 1] = p
  else
    local to = alias(KEYS[3], id)
    p = to and '>' .. escape(to) or '!'
  end
  providers[id] = p
  return p
end

-- days since 1970 of a date in the Gregorian calendar.
local function days(y, mo, d)
  if mo <= 2 then y = y - 1 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (mo + (mo > 2 and -3 or 9)) + 2) / 5) + d - 1
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

-- millis reads a time in one of the two forms that are written here; ok is
-- false for any other literal.
local function millis(lit)
  if string.find(lit, '^%d+$') and #lit <= 15 then return tonumber(lit), true end
  local y, mo, d, h, mi, s, ms = string.match(lit, '^"(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.(%d%d%d)Z"$')
  if not y then return nil, lit == '' or lit == 'null' end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  if mo < 1 or mo > 12 or d < 1 or d > 28 then
    local len = ({31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31})[mo]
    if mo == 2 and (y % 4 == 0 and y % 100 ~= 0 or y % 400 == 0) then len = 29 end
    if not len or d < 1 or d > len then return nil, true end
  end
  if tonumber(h) > 23 or tonumber(mi) > 59 or tonumber(s) > 59 then return nil, true end
  return days(y, mo, d) * 86400000 + h * 3600000 + mi * 60000 + s * 1000 + ms, true
end

local function healthy(lit)
  if lit == nil or lit == '' then return true end
  if lit == 'false' or lit == 'null' or lit == '""' then return false end
  if string.find(lit, '^[-0-9]') then
    return string.find(string.match(lit, '^[^eE]*'), '[1-9]') ~= nil
  end
  return true
end

-- work applies one row to a provider's table, and returns its result. Nothing
-- is written yet, so a row may still be refused.
local function work(at, p)
  local op, now, iso = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local message, model, threshold, flags = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 9]
  local fits
  local cur = p.now
  local stale = false
  local seed = {usageCount = 11, errorCount = 12, refreshCount = 13, lastUsed = 14, lastErrorTime = 15,
    isHealthy = 16, lastRefreshTime = 17}
  local function get(f)
    if cur[f] ~= nil then return cur[f] end
    if fits == nil then
      if not p.sha then p.sha = redis.sha1hex(redis.call('HGET', KEYS[3], p.id) or '') end
      fits = p.sha == ARGV[at + 10]
    end
    if not fits then stale = true end
    return ARGV[at + seed[f]]
  end
  -- time is when a field says, or nil. A form that is not ours is taken from
  -- the caller, who has read it.
  local function time(f, given)
    local lit = get(f)
    if lit == ARGV[at + given] then return tonumber(ARGV[at + given + 1]) end
    local ms, ok = millis(lit)
    if not ok then stale = true end
    return ms
  end
  local out = {}
  local function put(f, v) out[f] = v end
  local function see(f) if out[f] ~= nil then return out[f] end return get(f) end
  local function count(f) return toint(see(f)) end
  local function plus(f, n) put(f, add(count(f), n)) end
  local function later()
    local was = get('lastUsed')
    if #was ~= 26 or was < iso or not string.find(was, '^"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"$') then
      put('lastUsed', iso)
    end
  end
  local function checked()
    put('lastHealthCheckTime', iso)
    if model ~= '' then put('lastHealthCheckModel', model) end
  end
  local function clear()
    put('isHealthy', 'true')
    put('errorCount', '0')
    put('refreshCount', '0')
    put('needsRefresh', 'false')
    put('lastErrorTime', 'null')
    put('lastErrorMessage', 'null')
  end
  local function recover()
    clear()
    put('lastRefreshTime', ARGV[at + 2])
    put('_lastSelectionSeq', '0')
  end
  local function reached(f)
    local c = count(f)
    return threshold ~= '0' and string.sub(c, 1, 1) ~= '-' and (#c > #threshold or (#c == #threshold and c >= threshold))
  end
  local function fail(immediate)
    local last = time('lastErrorTime', 19)
    if immediate then
      put('errorCount', threshold)
    elseif not last or now - last > 10000 then
      put('errorCount', '1')
    else
      plus('errorCount', 1)
    end
    put('lastErrorTime', iso)
    if message ~= '' then put('lastErrorMessage', message) end
    put('needsRefresh', 'false')
    put('refreshCount', '0')
    if immediate or reached('errorCount') then put('isHealthy', 'false') end
  end

  local answer, declined
  if op == 'error' then
    local recovery = ARGV[at + 7]
    fail(recovery ~= '' or string.find(flags, 'i', 1, true) ~= nil)
    later()
    if recovery ~= '' then put('scheduledRecoveryTime', recovery) end
    answer = count('errorCount')
  elseif op == 'success' then
    recover()
    if model ~= '' then checked() end
    if ARGV[at + 8] ~= '0' then plus('usageCount', tonumber(ARGV[at + 8])) end
    answer = count('usageCount')
    later()
  elseif op == 'health' then
    if string.find(flags, 'h', 1, true) then recover() else fail(true) end
    checked()
    answer = count('errorCount')
  elseif op == 'reset' then
    clear()
    put('scheduledRecoveryTime', 'null')
    if string.find(flags, 'u', 1, true) then put('usageCount', '0') end
    answer = count('usageCount')
  elseif op == 'needed' then
    local last = time('lastRefreshTime', 21)
    if not last or now - last >= 30000 then put('needsRefresh', 'true') else declined = true end
    answer = count('refreshCount')
  elseif op == 'started' then
    plus('refreshCount', 1)
    answer = count('refreshCount')
  elseif op == 'done' then
    put('needsRefresh', 'false')
    put('refreshCount', '0')
    put('errorCount', '0')
    put('lastRefreshTime', ARGV[at + 2])
    put('lastHealthCheckTime', iso)
    answer = '0'
  elseif op == 'failed' then
    plus('errorCount', 1)
    put('lastErrorTime', iso)
    if message ~= '' then put('lastErrorMessage', message) end
    answer = count('errorCount')
    if reached('errorCount') then
      put('isHealthy', 'false')
    else
      put('needsRefresh', 'false')
      put('lastRefreshTime', ARGV[at + 2])
    end
  end
  if now < tonumber(cur.decidedAt or '0') and string.find(ARGV[4], 'q', 1, true) then
    out = {usageCount = op == 'success' and out.usageCount or nil, lastUsed = out.lastUsed}
    answer = count((op == 'success' or op == 'reset') and 'usageCount' or (op == 'needed' or op == 'started') and 'refreshCount' or 'errorCount')
    declined = true
  end
  local well = healthy(see('isHealthy')) and '1' or '0'
  if stale then return '?' end
  local decided = tonumber(cur.decidedAt or '0')
  if now > decided and not declined then put('decidedAt', ARGV[at + 2]) end
  local changed = '0'
  for f, v in pairs(out) do
    if cur[f] ~= v then
      cur[f] = v
      changed = '1'
    end
  end
  return answer .. ':' .. well .. ':' .. changed
end

local results, at = {}, FIRST + 1
for i = 1, m do
  local p, from = load(ARGV[at]), ARGV[at + 18]
  if from ~= '' then
    -- The old id must still lead to where the op was sent on to.
    local to = redis.call('HEXISTS', KEYS[3], from) == 1 and from or alias(KEYS[3], from)
    if not to then p = '!' elseif to ~= ARGV[at] then p = '>' .. escape(to) end
  end
  if type(p) == 'string' then results[i] = p else results[i] = work(at, p) end
  at = at + 23
end

local all = {}
for _, p in ipairs(order) do
  local set = {}
  for i = 1, NF do
    local f = FIELDS[i]
    if p.now[f] ~= p.was[f] then
      set[#set + 1] = p.id .. ':' .. f
      set[#set + 1] = p.now[f]
    end
  end
  if #set > 0 then
    redis.call('HSET', KEYS[2], TABLE, '', unpack(set))
    all[#all + 1] = table.concat(set, '\0')
  end
end
return finish(table.concat(results, ','), #all > 0 and 'state' or '', table.concat(all, '\0'))
