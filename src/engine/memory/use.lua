-- v1, before add.lua and keep.lua. KEYS[2] the flow's sessions by when they were used; ARGV 1 the session, 2 sessions of the
-- flow at most, 3 seconds that anything may be old. Returns the sessions that are too many: those unused for longest.
local now = tonumber(redis.call('TIME')[1])
local age = tonumber(ARGV[3])
local function use()
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('EXPIRE', KEYS[2], age)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - age)
  local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[2])
  if over <= 0 then return {} end
  -- The rest goes with the next ones.
  local oldest = redis.call('ZRANGE', KEYS[2], 0, math.min(over, 100) - 1)
  redis.call('ZREM', KEYS[2], unpack(oldest))
  return oldest
end
