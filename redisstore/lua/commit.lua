-- Initialises a store: the last step of a restore, or of a conversion in place.
--
-- KEYS[1] meta
-- ARGV  1 the field of the mark   2 the run that is marked there   then pairs of
--       field and value
-- Result: OK; EXISTS where there is an epoch; GONE where another run is marked.
if redis.call('HEXISTS', KEYS[1], 'epoch') == 1 then return 'EXISTS' end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 'GONE' end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HDEL', KEYS[1], ARGV[1])
return 'OK'
