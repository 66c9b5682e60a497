-- Removes the state of providers that are no longer in the pool. It belongs to
-- no batch, as it may be repeated.
--
-- KEYS[1] ctl:{K}   KEYS[2] state:{K}   KEYS[3] order:{K}
-- ARGV  1 epoch   2 the structure revision after which all is swept, or ''
--       then ids
-- Result: OK
local FIELDS = {'usageCount', 'errorCount', 'refreshCount', 'lastUsed', 'lastErrorTime', 'lastErrorMessage', 'isHealthy',
  'lastHealthCheckTime', 'lastHealthCheckModel', 'needsRefresh', 'scheduledRecoveryTime', 'lastRefreshTime',
  '_lastSelectionSeq', 'decidedAt'}
local ctl = redis.call('HMGET', KEYS[1], 'epoch', 'srev')
if ctl[1] ~= ARGV[1] then return 'OK' end
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[3], ARGV[i]) then
    local names = {}
    for j, f in ipairs(FIELDS) do names[j] = ARGV[i] .. ':' .. f end
    redis.call('HDEL', KEYS[2], unpack(names))
  end
end
if ARGV[2] ~= '' and ctl[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'sweep') end
return 'OK'
