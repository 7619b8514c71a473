-- A run is a session's last. KEYS[1] where it is kept; ARGV 4 the run, 5 the one in whose place it comes, if it has to.
-- Returns nothing: that is not the last any more.
if ARGV[5] and redis.call('GET', KEYS[1]) ~= ARGV[5] then return false end
redis.call('SET', KEYS[1], ARGV[4], 'EX', age)
return use()
