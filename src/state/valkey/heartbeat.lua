-- v1: KEYS[1] the replicas by when they were last seen, ARGV[1] this one, ARGV[2] what the channels begin with to which
-- each listens, ARGV[3] the clock as this one expects it, as other scripts count (0: it does not know). Returns how many
-- there are, the time, and those that say nothing any more though they are connected still: each with the time, as other
-- scripts count it, since when it may admit requests by itself.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Of a clock that was set nobody is older or younger.
local expected = math.floor(tonumber(ARGV[3] or 0) / 1000) + 1700000000000
if expected > 1700000000000 and math.abs(now - expected) > 1000 then
  local seen = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  for i = 1, #seen, 2 do
    local at = tonumber(seen[i + 1])
    if math.abs(at - expected) < math.abs(at - now) then redis.call('ZADD', KEYS[1], at + now - expected, seen[i]) end
  end
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60000)
-- The clock may have been set back while nobody knew what it showed.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 5000, '+inf')
redis.call('PEXPIRE', KEYS[1], 120000)
local apart = {}
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - 2000, 'WITHSCORES')
for i = 1, #late, 2 do
  -- The connections of a process that ended are closed at once; those of one that is cut off are not.
  local listeners = redis.pcall('PUBSUB', 'SHARDNUMSUB', ARGV[2] .. late[i])
  if (tonumber(listeners[2]) or 0) > 0 then
    apart[#apart + 1] = string.format('%s:%.0f', late[i], (tonumber(late[i + 1]) + 2000 - 1700000000000) * 1000)
  elseif tonumber(late[i + 1]) < now - 5000 then
    redis.call('ZREM', KEYS[1], late[i])
  end
end
return { redis.call('ZCARD', KEYS[1]), (time[1] - 1700000000) * 1000000 + time[2], apart }
