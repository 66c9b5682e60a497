-- Changes the list of the types. Needs prelude.
--
-- KEYS[2] pool-order
-- ARGV  1 ensure, remove or reorder   then types
-- Result: 1, 0 where nothing had to change, or ~ where the list does not hold
-- the same types as the new order.
local op, results = ARGV[FIRST], '0'
if op == 'reorder' then
  local have, list = {}, redis.call('LRANGE', KEYS[2], 0, -1)
  for _, t in ipairs(list) do have[t] = true end
  if #list ~= #ARGV - FIRST then return finish('~', '', '') end
  for i = FIRST + 1, #ARGV do
    if not have[ARGV[i]] then return finish('~', '', '') end
    if ARGV[i] ~= list[i - FIRST] then results = '1' end
  end
  if results == '1' then
    redis.call('DEL', KEYS[2])
    for i = FIRST + 1, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
  end
else
  for i = FIRST + 1, #ARGV do
    local at = redis.call('LPOS', KEYS[2], ARGV[i])
    if op == 'ensure' and not at then
      redis.call('RPUSH', KEYS[2], ARGV[i])
      results = '1'
    elseif op == 'remove' and at then
      redis.call('LREM', KEYS[2], 0, ARGV[i])
      results = '1'
    end
  end
end
-- A type that is removed was in the set until now, which tells nobody.
return finish(results, (results == '1' or op == 'remove') and 'types' or '', '')
