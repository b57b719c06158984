/* A shared object that is no module. */
int just_a_library(void);

__attribute__((visibility("default"))) int just_a_library(void)
{
        return 0;
}
