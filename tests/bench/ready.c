/* The smallest application there is: it says that it runs, and waits for its end. Linked statically, so that
 * what a start takes is not the dynamic loader's time. An argument keeps it quiet. */
#include <unistd.h>

int main(int argc, char **argv)
{
        (void)argv;
        if (argc == 1 && write(STDOUT_FILENO, "\n", 1) != 1)
                return 1;
        for (;;)
                pause();
}
