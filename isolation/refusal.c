#include "isolation/refusal.h"

#include "isolation/cause.h"
#include "isolation/report.h"

int refusal_explain(struct error *error, int code, uint64_t namespaces)
{
        char words[256];

        error_set(error, code, "clone3 into new namespaces (%s)",
                  report_namespaces(namespaces, words, sizeof(words)));
        return error_remedy(error, "%s", cause_remedy(cause_of_namespaces(code, namespaces)));
}
