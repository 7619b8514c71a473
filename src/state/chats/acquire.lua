-- v1: one stream of a chat begins. KEYS 1 the chat, 2 the replicas that have streams, by when they end unless they say more;
-- ARGV 1 replica, 2 number of the stream there, 3 how long a chat is kept, 4 how long a replica lives without a word, in ms.
-- Returns 0: another replica has a stream of it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('GET', KEYS[1])
if held then
  local holder = string.match(held, '^(%S+)')
  if holder ~= ARGV[1] then
    local ends = tonumber(redis.call('HGET', KEYS[2], holder) or 0)
    -- Further ahead than anybody writes: the clock was set back.
    if ends > now and ends <= now + 2 * ARGV[4] then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now + ARGV[4]))
redis.call('PEXPIRE', KEYS[2], 60000)
return 1
