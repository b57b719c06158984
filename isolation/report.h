/* Small helpers with which a step describes itself (struct isolation_report). */
#pragma once

#include "isolation/apply.h"

void report_step(const struct isolation_report *report, const char *name);
void report_call(const struct isolation_report *report, const char *system_call, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));

/* "CLONE_NEWUSER|CLONE_NEWPID" into buffer; "0" for none. */
const char *report_namespaces(uint64_t flags, char *buffer, size_t size);
/* "MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID" */
const char *report_attributes(uint64_t attributes, char *buffer, size_t size);
