-- Replays prepared HTTP requests, each once at the most per thread and in turn, then starts over.
-- File format: repeated [8 decimal digits: length][request bytes].
local requests = {}
local next_request = 0
local thread_count = 0

function setup(thread)
    thread:set("thread_index", thread_count)
    thread_count = thread_count + 1
end

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local threads = tonumber(args[2])
    local index = 0
    while true do
        local header = file:read(8)
        if not header then break end
        local request = file:read(tonumber(header))
        -- Each thread takes its own share, so that no two write the same row.
        if index % threads == thread_index then requests[#requests + 1] = request end
        index = index + 1
    end
    file:close()
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency, requests_done)
    io.write(string.format(
        '{"requests": %d, "duration_us": %d, "non_2xx": %d, "socket_errors": %d, ' ..
        '"p50_ms": %.3f, "p90_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}\n',
        summary.requests, summary.duration, summary.errors.status,
        summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(90) / 1000, latency:percentile(99) / 1000,
        latency.max / 1000))
end
