-- v1: streams have ended. KEYS chats; ARGV 1 replica, 2.. their numbers.
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] .. ' ' .. ARGV[i + 1] then redis.call('DEL', KEYS[i]) end
end
return #KEYS
