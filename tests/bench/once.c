/* A `native` application that says who answers, as apps/once.py does: a process that answers twice says the same
 * twice, since the name is made when it is first asked. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <clade/http.h>

__attribute__((visibility("default"))) int clade_handle(struct clade_request *request);

int clade_handle(struct clade_request *request)
{
        static char name[64], length[8];
        static const struct clade_field fields[] = {
                {"Content-Type", "text/plain", 12, 10},
        };
        struct clade_field all[2] = {fields[0], {"Content-Length", length, 14, 0}};
        int r;

        if (!name[0]) {
                unsigned long random[2];

                if (getrandom(random, sizeof(random), 0) != sizeof(random))
                        return -1;
                snprintf(name, sizeof(name), "%d %016lx%016lx\n", getpid(), random[0], random[1]);
                snprintf(length, sizeof(length), "%zu", strlen(name));
        }
        all[1].value_length = strlen(length);
        r = request->respond(request, 200, NULL, all, 2);
        return r < 0 ? r : request->write(request, name, strlen(name));
}
