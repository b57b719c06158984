/* Only in builds with AddressSanitizer. Its leak check at the exit needs ptrace, which nothing in the sandbox
 * has; the supervisor's own leaks are found as ever. */
const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
