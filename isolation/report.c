#include "isolation/report.h"

#include <linux/sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/missing.h"
#include "base/own.h"

struct flag_name {
        uint64_t flag;
        const char *name;
};

static const struct flag_name namespace_names[] = {
        {CLONE_NEWUSER, "CLONE_NEWUSER"},     {CLONE_NEWPID, "CLONE_NEWPID"},
        {CLONE_NEWNS, "CLONE_NEWNS"},         {CLONE_NEWNET, "CLONE_NEWNET"},
        {CLONE_NEWUTS, "CLONE_NEWUTS"},       {CLONE_NEWIPC, "CLONE_NEWIPC"},
        {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"}, {CLONE_NEWTIME, "CLONE_NEWTIME"},
};

static const struct flag_name attribute_names[] = {
        {MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
        {MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
        {MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
        {MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
        {MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
        {MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
        {MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
        {MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
};

void report_step(const struct isolation_report *report, const char *name)
{
        report->step(report->context, name);
}

void report_call(const struct isolation_report *report, const char *system_call, const char *format,
                 ...)
{
        char arguments[8192];
        va_list args;

        va_start(args, format);
        vsnprintf(arguments, sizeof(arguments), format, args);
        va_end(args);
        report->call(report->context, system_call, arguments);
}

static const char *flag_words(uint64_t flags, const struct flag_name *names, size_t count,
                              char *buffer, size_t size)
{
        size_t used = 0;

        snprintf(buffer, size, "0");
        for (size_t i = 0; i < count; i++) {
                if (!(flags & names[i].flag) || used >= size)
                        continue;
                used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? "|" : "",
                                         names[i].name);
        }
        return buffer;
}

const char *report_namespaces(uint64_t flags, char *buffer, size_t size)
{
        return flag_words(flags, namespace_names, ARRAY_SIZE(namespace_names), buffer, size);
}

const char *report_attributes(uint64_t attributes, char *buffer, size_t size)
{
        return flag_words(attributes, attribute_names, ARRAY_SIZE(attribute_names), buffer, size);
}
