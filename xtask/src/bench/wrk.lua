-- For `wrk -s`, below lines that say what to send: asks the paths it is given in
-- turn, and says what was measured in one line of JSON, exactly, where wrk's own summary is rounded for people.

local requests = {}
local turn = 0

function init(paths)
   if #paths > 1 then
      for at, path in ipairs(paths) do
         requests[at] = wrk.format("GET", path)
      end
      -- Only then: without this function wrk sends the same bytes again and again.
      request = function()
         turn = turn % #requests + 1
         return requests[turn]
      end
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'MEASURED {"micros":%d,"requests":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,' ..
      '"status":%d,"timeout":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d}\n',
      summary.duration, summary.requests, summary.bytes, errors.connect, errors.read,
      errors.write, errors.status, errors.timeout, latency:percentile(50),
      latency:percentile(90), latency:percentile(99), latency.max))
end
