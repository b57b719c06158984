/* Addresses of listeners, and the paths in them. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/own.h"
#include "runtime/config/address.h"
#include "runtime/config/path.h"

union address {
        struct sockaddr_storage storage;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* Every byte, since it is by them that addresses are compared. */
static bool same(const void *a, const void *b)
{
        return memcmp(a, b, sizeof(union address)) == 0;
}

static socklen_t parse(const char *text, union address *address)
{
        struct error error = ERROR_INIT;
        socklen_t length = 0;

        cr_assert_eq(address_parse(text, &address->storage, &length, &error), 0, "%s: %s", text,
                     error.text);
        return length;
}

Test(address, ipv4)
{
        union address address;

        cr_expect_eq(parse("127.0.0.1:8080", &address), sizeof(struct sockaddr_in));
        cr_expect_eq(address.in.sin_family, AF_INET);
        cr_expect_eq(address.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        cr_expect_eq(address.in.sin_port, htons(8080));
        cr_expect_eq(address_port(&address.storage), 8080);
        cr_expect_not(address_is_any(&address.storage));
}

Test(address, every_ipv4_address)
{
        union address star, zeros;

        parse("*:65535", &star);
        parse("0.0.0.0:65535", &zeros);
        cr_expect(address_is_any(&star.storage));
        cr_expect(same(&star, &zeros));
}

Test(address, ipv6)
{
        union address address, longer;

        cr_expect_eq(parse("[::1]:1", &address), sizeof(struct sockaddr_in6));
        cr_expect_eq(address.in6.sin6_family, AF_INET6);
        cr_expect(IN6_IS_ADDR_LOOPBACK(&address.in6.sin6_addr));
        cr_expect_eq(address_port(&address.storage), 1);
        cr_expect_not(address_is_any(&address.storage));
        parse("[0:0:0:0:0:0:0:1]:1", &longer);
        cr_expect(same(&longer, &address));
        parse("[::]:1", &address);
        cr_expect(address_is_any(&address.storage));
        parse("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1", &address);
        cr_expect_eq(address.in6.sin6_addr.s6_addr[15], 255);
}

Test(address, unix_path)
{
        char text[5 + 107 + 1] = "unix:/";
        union address address;

        cr_expect_eq(parse("unix:/run/a", &address),
                     offsetof(struct sockaddr_un, sun_path) + sizeof("/run/a"));
        cr_expect_eq(address.un.sun_family, AF_UNIX);
        cr_expect_str_eq(address.un.sun_path, "/run/a");
        cr_expect_eq(address_port(&address.storage), 0);
        cr_expect_not(address_is_any(&address.storage));

        /* the longest: its NUL is the last byte of sun_path */
        memset(text + 6, 'x', 106);
        cr_expect_eq(parse(text, &address), sizeof(struct sockaddr_un));
        cr_expect_eq(strlen(address.un.sun_path), 107);
}

Test(address, unix_abstract)
{
        char text[5 + 1 + 107 + 1] = "unix:@";
        union address address;

        cr_expect_eq(parse("unix:@a b", &address), offsetof(struct sockaddr_un, sun_path) + 4);
        cr_expect_eq(memcmp(address.un.sun_path, "\0a b", 4), 0);
        memset(text + 6, 'x', 107);
        cr_expect_eq(parse(text, &address), sizeof(struct sockaddr_un));
        cr_expect_eq(address.un.sun_path[107], 'x');
}

Test(address, what_is_refused_leaves_the_result_alone)
{
        static const char *const bad[] = {
                "",
                ":",
                ":80",
                "80",
                "*",
                "*:",
                "*:0",
                "*:65536",
                "*:+1",
                "*: 1",
                "*:1 ",
                "*:0x10",
                "1.2.3:80",
                "1.2.3.4.5:80",
                "01.2.3.4:80",
                "1.2.3.4",
                "a:80",
                "**:80",
                "[::1]",
                "[::1]80",
                "[::1:80",
                "[]:80",
                "[*]:80",
                "[127.0.0.1]:80",
                "[::1]:",
                "[::1]]:80",
                "[::1%lo]:80",
                "::1:80",
                "[::ffff:1.2.3.4]:80",
                "unix:",
                "unix:a",
                "unix:/",
                "unix://a",
                "unix:/a/",
                "unix:/a/../b",
                "unix:@",
                "UNIX:/a",
                "[1111:2222:3333:4444:5555:6666:7777:8888:9999]:80",
                "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80",
                "123.123.123.123.123.123.123.123:80",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct error error = ERROR_INIT;
                union address address = {.storage = {.ss_family = 77}};
                socklen_t length = 99;

                cr_expect_eq(address_parse(bad[i], &address.storage, &length, &error), -EINVAL,
                             "%s was taken", bad[i]);
                cr_expect_str_not_empty(error.text);
                cr_expect_eq(length, 99);
                cr_expect_eq(address.storage.ss_family, 77);
        }
}

Test(path, faults)
{
        static const struct {
                const char *path, *fault;
        } rows[] = {
                {"/a", NULL},
                {"/a/b.c/..d/...", NULL},
                {"/a b/\xc3\xa4", NULL},
                {"", "is not absolute"},
                {"a", "is not absolute"},
                {"./a", "is not absolute"},
                {"/", "is the root itself"},
                {"//", "has a doubled or trailing slash"},
                {"//a", "has a doubled or trailing slash"},
                {"/a/", "has a doubled or trailing slash"},
                {"/a//b", "has a doubled or trailing slash"},
                {"/.", "has a \".\" part"},
                {"/a/./b", "has a \".\" part"},
                {"/..", "has a \"..\" part"},
                {"/a/..", "has a \"..\" part"},
                {"/../a", "has a \"..\" part"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *fault = path_fault(rows[i].path);

                if (rows[i].fault)
                        cr_expect_str_eq(fault ? fault : "nothing", rows[i].fault, "%s",
                                         rows[i].path);
                else
                        cr_expect_null(fault, "%s %s", rows[i].path, fault);
        }
}
