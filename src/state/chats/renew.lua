-- v1: a replica lives, and says again which chats it has. KEYS 1 the replicas, as in acquire.lua, 2.. chats; ARGV 1 replica,
-- 2 how long a chat is kept, 3 how long a replica lives without a word, in ms, 4.. numbers of the streams.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lives = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local ends = tonumber(all[i + 1]) or 0
  if ends > now and ends <= now + 2 * ARGV[3] then
    lives[all[i]] = true
  elseif math.abs(ends - now) > 60000 then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[3]))
redis.call('PEXPIRE', KEYS[1], 60000)
for i = 2, #KEYS do
  local held = redis.call('GET', KEYS[i])
  local holder = held and string.match(held, '^(%S+)')
  -- Forgotten, or taken over meanwhile: then the other one keeps it.
  if not holder or holder == ARGV[1] or not lives[holder] then
    redis.call('SET', KEYS[i], ARGV[1] .. ' ' .. ARGV[i + 2], 'PX', ARGV[2])
  end
end
return #KEYS
