/* The limits in a plan that control groups hold. */
#include <sys/sysmacros.h>

#include "runtime/cli/describe.h"

static json_t *describe_amount(uint64_t amount)
{
        return amount == PLAN_UNLIMITED ? json_null() : json_integer((json_int_t)amount);
}

static json_t *describe_io(const struct plan_io *io)
{
        return json_pack("{s:o, s:o, s:o, s:o, s:o}", "device",
                         json_sprintf("%u:%u", io->major, io->minor), "read_bytes",
                         describe_amount(io->read_bytes), "write_bytes",
                         describe_amount(io->write_bytes), "read_requests",
                         describe_amount(io->read_requests), "write_requests",
                         describe_amount(io->write_requests));
}

json_t *describe_cgroup(const struct plan_cgroup *cgroup)
{
        json_t *devices;

        if (!cgroup->present)
                return json_null();
        devices = json_array();
        for (size_t i = 0; i < cgroup->io_count; i++)
                json_array_append_new(devices, describe_io(&cgroup->io[i]));
        return json_pack(
                "{s:o, s:o, s:b, s:o, s:o, s:o}", "memory", describe_amount(cgroup->memory), "swap",
                cgroup->memory == PLAN_UNLIMITED ? json_null() : describe_amount(cgroup->swap),
                "oom_group", cgroup->oom_group, "cpu_us", describe_amount(cgroup->cpu), "tasks",
                describe_amount(cgroup->tasks), "io", devices);
}
