#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "isolation/plan.h"

Test(plan, targets)
{
        static const char *const good[] = {"/a", "/a/b", "/...", "/a/.b", "/a/b..", "/ /x", "/..a"};
        static const char *const bad[] = {
                "",    "/",    "a",     "a/b",    "//",      "//a",  "/a/",   "/a//b", "/.",
                "/..", "/a/.", "/a/..", "/a/./b", "/a/../b", "/./a", "/../a", "./a",   "../a",
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                cr_expect(plan_target_valid(good[i]), "%s", good[i]);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                cr_expect_not(plan_target_valid(bad[i]), "%s", bad[i]);
        cr_expect_not(plan_target_valid(NULL));
}

/* A plan with something of everything, that a test can spoil in one place. */
struct fixture {
        struct plan plan;
        struct plan_id_extent uids[2], gids[1];
        struct plan_source sources[2];
        struct plan_entry entries[3];
        struct plan_rlimit rlimits[1];
        struct sock_filter program[2];
        struct plan_filter filters[1];
        struct plan_landlock_rule rule;
        struct plan_landlock_port port;
        struct plan_parameter parameter;
        uint64_t cpus[2];
        char path[16], target[16], content[16], name[16];
};

static void fill(struct fixture *f)
{
        *f = (struct fixture){
                .path = "/srv/x",
                .port = {8080, 1},
                .cpus = {1, 1ull << 63},
                .target = "/usr/x",
                .content = "hello",
                .name = "profile",
                .program = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 4}, {BPF_RET | BPF_K, 0, 0, 0}},
        };
        f->uids[0] = (struct plan_id_extent){0, 200000, 1};
        f->uids[1] = (struct plan_id_extent){1, 100000, 10};
        f->gids[0] = (struct plan_id_extent){2, 100001, 1};
        f->sources[0] = (struct plan_source){f->path, 1, 2, 0, S_IFDIR, true, 1, 33, 34};
        f->sources[1] = (struct plan_source){f->path, 3, 4, 5, S_IFCHR, false, 0, 0, 0};
        f->entries[0] =
                (struct plan_entry){.kind = PLAN_DIRECTORY, .target = f->target, .mode = 0755};
        f->entries[1] = (struct plan_entry){
                .kind = PLAN_FILE, .target = f->target, .content = f->content, .mode = 0644};
        f->entries[2] = (struct plan_entry){.kind = PLAN_BIND,
                                            .target = f->target,
                                            .source = 1,
                                            .attributes = 7,
                                            .access_times = true,
                                            .parameters = &f->parameter,
                                            .parameter_count = 1};
        f->parameter = (struct plan_parameter){f->name, f->path};
        f->rlimits[0] = (struct plan_rlimit){3, 100, 200};
        f->filters[0] = (struct plan_filter){f->name, f->program, 2, 2, f->content};
        f->rule = (struct plan_landlock_rule){f->path, 1};
        f->plan = (struct plan){
                .namespaces = 0x7e020000,
                .identity = {PLAN_IDS_DIRECT, true, {f->uids, 2}, {f->gids, 1}, 1, 2},
                .privileged = true,
                .root = true,
                .root_writable = true,
                .root_size = 1 << 20,
                .root_inodes = 99,
                .sources = f->sources,
                .source_count = 2,
                .entries = f->entries,
                .entry_count = 3,
                .rlimits = f->rlimits,
                .rlimit_count = 1,
                .landlock_abi = 7,
                .clocks = {true, 5, 6},
                .scheduling = {true, true, (uint32_t)-5, 500, f->cpus, 2},
                .capabilities = {3, 1, 7},
                .prototype_domain = {3, 0, 0, &f->rule, 1, NULL, 0, 0},
                .worker_domain = {0, 3, 3, NULL, 0, &f->port, 1, 5},
                .prototype_filters = f->filters,
                .prototype_filter_count = 1,
        };
}

static int encode(struct plan *plan, char **ret_image, size_t *ret_size)
{
        struct codec codec;

        codec_write_begin(&codec);
        plan_fields(&codec, plan);
        return codec_write_end(&codec, ret_image, ret_size);
}

static int decode(const char *image, size_t size, struct plan *plan, struct codec_memory *memory)
{
        struct codec codec;

        *plan = (struct plan){.namespaces = 0};
        cr_assert_eq(codec_read_begin(&codec, memory, image, size), 0);
        plan_fields(&codec, plan);
        return codec_read_end(&codec);
}

Test(plan, comes_back_as_it_was)
{
        cleanup_free char *image = NULL;
        cleanup_free char *again = NULL;
        struct codec_memory memory;
        struct fixture f;
        struct plan plan;
        size_t size, again_size;

        fill(&f);
        cr_assert_eq(encode(&f.plan, &image, &size), 0);
        cr_assert_eq(decode(image, size, &plan, &memory), 0);
        cr_expect_eq(plan.namespaces, 0x7e020000);
        cr_assert_eq(plan.identity.uid_map.count, 2);
        cr_expect_eq(plan.identity.uid_map.extents[1].count, 10);
        cr_expect_eq(plan_host_uid(&plan.identity), 100000);
        cr_expect_eq(plan_host_gid(&plan.identity), 100001);
        cr_expect(plan.identity.deny_groups);
        cr_expect_null(plan.hostname);
        cr_assert_eq(plan.source_count, 2);
        cr_expect_str_eq(plan.sources[1].path, "/srv/x");
        cr_expect_eq(plan.sources[1].special, 5);
        cr_expect_eq(plan.sources[0].owner_gid, 34);
        cr_assert_eq(plan.entry_count, 3);
        cr_expect_str_eq(plan.entries[1].content, "hello");
        cr_expect_eq(plan.entries[2].source, 1);
        cr_expect(plan.entries[2].access_times);
        cr_assert_eq(plan.entries[2].parameter_count, 1);
        cr_expect_str_eq(plan.entries[2].parameters[0].key, f.name);
        cr_expect_str_eq(plan.entries[2].parameters[0].value, f.path);
        cr_expect(plan.root_writable);
        cr_assert_eq(plan.prototype_filter_count, 1);
        cr_assert_eq(plan.prototype_filters[0].length, 2);
        cr_expect_eq(plan.prototype_filters[0].program[0].k, 4);
        cr_expect_eq(plan.prototype_filters[0].flags, 2);
        cr_expect_null(plan.prototype_filters[0].text, "texts stay with the supervisor");
        cr_expect_eq(plan.worker_filter.length, 0);
        cr_expect_eq((int32_t)plan.scheduling.nice, -5);
        cr_assert_eq(plan.scheduling.cpu_words, 2);
        cr_expect_eq(plan.scheduling.cpus[1], 1ull << 63);
        cr_assert_eq(plan.prototype_domain.rule_count, 1);
        cr_expect_str_eq(plan.prototype_domain.rules[0].path, "/srv/x");
        cr_assert_eq(plan.worker_domain.port_count, 1);
        cr_expect_eq(plan.worker_domain.ports[0].port, 8080);
        /* Every field that is written twice is the same: none is read into the wrong place. */
        cr_assert_eq(encode(&plan, &again, &again_size), 0);
        cr_assert_eq(again_size, size);
        cr_expect_eq(memcmp(again, image, size), 0);
        codec_memory_finish(&memory);
}

static void no_source(struct fixture *f)
{
        f->entries[2].source = 2;
}
static void no_target(struct fixture *f)
{
        f->entries[0].target = NULL;
}
static void dotted_target(struct fixture *f)
{
        strcpy(f->target, "/a/../b");
}
static void unknown_kind(struct fixture *f)
{
        f->entries[0].kind = PLAN_ENTRY_KINDS;
}
static void file_without_content(struct fixture *f)
{
        f->entries[1].content = NULL;
}
static void link_without_content(struct fixture *f)
{
        f->entries[0].kind = PLAN_SYMLINK;
}
static void source_without_path(struct fixture *f)
{
        f->sources[0].path = NULL;
}
static void unknown_method(struct fixture *f)
{
        f->plan.identity.method = PLAN_IDS_HELPER + 1;
}
static void empty_extent(struct fixture *f)
{
        f->uids[0].count = 0;
}
static void extents_overlap_inside(struct fixture *f)
{
        f->uids[0].count = 2;
}
static void extents_overlap_outside(struct fixture *f)
{
        f->uids[0].outside = 100009;
}
static void extent_wraps(struct fixture *f)
{
        f->gids[0].count = UINT32_MAX - 100001 + 1;
}
static void unmapped_user(struct fixture *f)
{
        f->plan.identity.uid = 11;
}
static void unmapped_group(struct fixture *f)
{
        f->plan.identity.gid_map.count = 0;
}
static void owner_root(struct fixture *f)
{
        f->sources[0].owner_gid = 0;
}
static void empty_filter(struct fixture *f)
{
        f->filters[0].length = 0;
}
static void nameless_filter(struct fixture *f)
{
        f->filters[0].name = NULL;
}
static void rights_that_are_not_handled(struct fixture *f)
{
        f->rule.allowed = 4;
}
static void a_rule_without_rights(struct fixture *f)
{
        f->rule.allowed = 0;
}
static void a_rule_that_climbs(struct fixture *f)
{
        strcpy(f->path, "/a/..");
}
static void a_port_that_is_none(struct fixture *f)
{
        f->port.port = 65536;
}
static void ports_that_are_not_handled(struct fixture *f)
{
        f->port.allowed = 4;
}
static void ambient_alone(struct fixture *f)
{
        f->plan.capabilities.ambient = 4;
}

/* What the steps rely on is refused by whoever writes a plan as by whoever reads one. */
Test(plan, nonsense_is_refused)
{
        static const struct {
                const char *what;
                void (*spoil)(struct fixture *);
        } cases[] = {
                {"no such source", no_source},
                {"no target", no_target},
                {"a target with ..", dotted_target},
                {"an unknown kind", unknown_kind},
                {"a file without content", file_without_content},
                {"a symlink that leads nowhere", link_without_content},
                {"a source without a path", source_without_path},
                {"an unknown way to map ids", unknown_method},
                {"an extent of no ids", empty_extent},
                {"extents that overlap inside", extents_overlap_inside},
                {"extents that overlap outside", extents_overlap_outside},
                {"an extent beyond the last id", extent_wraps},
                {"a user outside its map", unmapped_user},
                {"a group without a map", unmapped_group},
                {"a mount of root's files as the application's", owner_root},
                {"a filter that filters nothing", empty_filter},
                {"a filter without a name", nameless_filter},
                {"rights that are not handled", rights_that_are_not_handled},
                {"a Landlock rule that allows nothing", a_rule_without_rights},
                {"a Landlock rule with ..", a_rule_that_climbs},
                {"a port above 65535", a_port_that_is_none},
                {"network rights that are not handled", ports_that_are_not_handled},
                {"an ambient capability that is not inheritable", ambient_alone},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                char *image = NULL;
                size_t size;

                fill(&f);
                cases[i].spoil(&f);
                cr_expect_eq(encode(&f.plan, &image, &size), -EBADMSG, "%s", cases[i].what);
                cr_expect_null(image);
        }
}

Test(plan, a_program_longer_than_the_kernel_takes)
{
        static struct sock_filter program[BPF_MAXINSNS + 1];
        char *image = NULL;
        struct fixture f;
        size_t size;

        fill(&f);
        f.filters[0].program = program;
        f.filters[0].length = BPF_MAXINSNS;
        cr_expect_eq(encode(&f.plan, &image, &size), 0);
        free(TAKE_PTR(image));
        f.filters[0].length = BPF_MAXINSNS + 1;
        cr_expect_eq(encode(&f.plan, &image, &size), -EBADMSG);
}

Test(plan, every_truncation_and_every_changed_byte)
{
        cleanup_free char *image = NULL;
        struct fixture f;
        size_t size, refused = 0;

        fill(&f);
        cr_assert_eq(encode(&f.plan, &image, &size), 0);
        for (size_t cut = 0; cut < size; cut++) {
                struct codec_memory memory;
                struct plan plan;

                cr_expect_eq(decode(image, cut, &plan, &memory), -EBADMSG, "%zu bytes", cut);
                codec_memory_finish(&memory);
        }
        for (size_t at = 0; at < size; at++)
                for (unsigned change = 1; change < 256; change++) {
                        struct codec_memory memory;
                        struct plan plan;
                        int r;

                        image[at] = (char)(image[at] ^ (char)change);
                        r = decode(image, size, &plan, &memory);
                        image[at] = (char)(image[at] ^ (char)change);
                        cr_assert(r == 0 || r == -EBADMSG);
                        refused += r != 0;
                        for (size_t i = 0; r == 0 && i < plan.entry_count; i++)
                                cr_assert(plan_target_valid(plan.entries[i].target) &&
                                          (plan.entries[i].kind != PLAN_BIND ||
                                           plan.entries[i].source < plan.source_count));
                        codec_memory_finish(&memory);
                }
        cr_expect_gt(refused, 0);
}
