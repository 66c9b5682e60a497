-- Marks a store in use as having an unfinished import, or takes the mark away.
--
-- KEYS[1] meta
-- ARGV  1 epoch of the store   2 the run   3 1 to mark, 0 when it has ended
-- Result: OK; EPOCH where the store has another epoch, or none.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'EPOCH' end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'importing', ARGV[2])
elseif redis.call('HGET', KEYS[1], 'importing') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'importing')
end
return 'OK'
