-- v1: the exchanges of a session, oldest first. KEYS[1] as in add.lua; ARGV[1] seconds that one may be old.
local now = tonumber(redis.call('TIME')[1])
local exchanges = {}
for _, row in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local time, at = string.match(row, '^(%d+) [%d ]+|()')
  if time and tonumber(time) >= now - ARGV[1] then table.insert(exchanges, string.sub(row, at)) end
end
return exchanges
