/* A relay's own confinement, before it reads the first byte of a tenant's. */
#pragma once

/* No capabilities, no new privileges, not dumpable, and a filter that allows what the loop and the account
 * need and kills for anything else. 0 or -errno. */
int confine(void);
