-- What wrk found out, as one line of JSON at the end of its output. Times are µs.
done = function(summary, latency, requests)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "us": %d, "p50": %d, "p99": %d, "socket_errors": %d, "bad_statuses": %d, "timeouts": %d}',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write, errors.status, errors.timeout))
end
