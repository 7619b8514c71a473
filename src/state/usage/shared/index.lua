-- v1: KEYS[1] the keys that have a record in a month; ARGV[1] seconds for which they are kept, then ids.
redis.call('SADD', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
