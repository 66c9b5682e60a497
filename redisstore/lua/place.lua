-- Puts what was staged in the place of a pool, in one step.
--
-- KEYS[1] the stage   KEYS[2] the pool
-- ARGV  1 the number of providers that were staged
-- Result: OK; GONE where the stage is not whole, and nothing was changed.
if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 'GONE' end
redis.call('UNLINK', KEYS[2])
redis.call('RENAME', KEYS[1], KEYS[2])
return 'OK'
