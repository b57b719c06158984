#include "modules/http/request.h"

#include <string.h>
#include <time.h>

#include "modules/http/server.h"

/* clade_request's `internal`. */
struct call {
        struct loop *loop;
        struct body *body;
};

static ssize_t call_read(struct clade_request *request, void *buffer, size_t size)
{
        const struct call *call = request->internal;

        return body_read(call->body, buffer, size);
}

static int call_rewind(struct clade_request *request)
{
        const struct call *call = request->internal;

        call->body->position = 0;
        return 0;
}

static int call_respond(struct clade_request *request, unsigned status, const char *reason,
                        const struct clade_field *fields, size_t field_count)
{
        const struct call *call = request->internal;

        return answer_respond(&call->loop->answer, status, reason, fields, field_count);
}

/* Clients that take nothing use up what all answers share. Not the one who is being answered pays for that, and not those
 * behind: whoever has taken nothing for longest is given up. */
static void make_room(struct loop *loop)
{
        struct timer *silent;

        if (!output_is_crowded(&loop->room))
                return;
        pthread_mutex_lock(&loop->lock);
        while (output_is_crowded(&loop->room) &&
               (silent = timers_oldest(&loop->timers, TIMER_SEND)))
                connection_close(loop, connection_of_timer(silent));
        pthread_mutex_unlock(&loop->lock);
}

static int call_write(struct clade_request *request, const void *data, size_t size)
{
        const struct call *call = request->internal;

        make_room(call->loop);
        return answer_write(&call->loop->answer, data, size);
}

static int call_send_file(struct clade_request *request, int fd, uint64_t offset, uint64_t length)
{
        const struct call *call = request->internal;

        return answer_send_file(&call->loop->answer, fd, offset, length);
}

static int call_flush(struct clade_request *request)
{
        const struct call *call = request->internal;

        return answer_flush(&call->loop->answer);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The loop is the watching thread's to look after until the lock is ours again. */
static int call_handler(struct loop *loop, struct clade_request *request)
{
        struct http_server *server = loop->server;
        struct clade_worker *worker = server->worker;
        uint64_t ticket = worker->begin(worker), before = now_ns();
        int r;

        watch_begin(&server->watch, &loop->watched);
        pthread_mutex_unlock(&loop->lock);
        r = server->hooks.handle(server->hooks.context, request);
        pthread_mutex_lock(&loop->lock);
        watch_end(&loop->watched);
        loop->latest = now_ns() - before;
        loop->typical = (loop->typical * 7 + loop->latest) / 8;
        worker->end(worker, ticket);
        return r;
}

static const char *find_field(const struct head *head, const char *name)
{
        for (size_t i = 0; i < head->field_count; i++)
                if (text_is(head->fields[i].name, head->fields[i].name_length, name))
                        return head->fields[i].value;
        return NULL;
}

static void write_down(struct loop *loop, const struct connection *connection,
                       const struct head *head)
{
        const struct answer *answer = &loop->answer;
        struct log_entry entry = {
                .remote = connection->remote,
                .status = answer->status,
                .bytes = answer->sent_body + answer->file_length,
                .duration = loop->latest,
        };

        if (loop->log.format == LOG_OFF)
                return;
        if (head) {
                entry.method = head->method;
                entry.target = head->target;
                entry.minor_version = head->minor_version;
                entry.host = head->host;
                entry.referer = find_field(head, "referer");
                entry.user_agent = find_field(head, "user-agent");
        }
        log_request(&loop->log, &entry, loop->timers.now);
}

void request_handle(struct loop *loop, struct connection *connection)
{
        struct parser *parser = connection->parser;
        struct head *head = &parser->head;
        struct call call = {.loop = loop, .body = &parser->body};
        struct clade_request request = {
                .size = sizeof(request),
                .minor_version = head->minor_version,
                .method = head->method,
                .target = head->target,
                .path = head->path,
                .query = head->query,
                .host = head->host ? head->host : "",
                .fields = head->fields,
                .field_count = head->field_count,
                .body_size = parser->body.size,
                .listener = connection->listener->index,
                .remote_address = connection->remote,
                .local_address =
                        connection->local ? connection->local : connection->listener->address,
                .remote_port = connection->remote_port,
                .local_port = connection->local_port,
                .read = call_read,
                .rewind = call_rewind,
                .respond = call_respond,
                .write = call_write,
                .send_file = call_send_file,
                .flush = call_flush,
                .internal = &call,
        };
        bool last = server_counts_out(loop->server);
        int r;

        /* At once: whoever came in the same moment is for another worker. */
        if (last)
                loop_accept_end(loop);
        answer_prepare(&loop->answer, connection->fd, &connection->output,
                       strcmp(head->method, "HEAD") == 0, head->minor_version,
                       head->keep_alive && !last && !server_is_stopping(loop->server));
        r = call_handler(loop, &request);
        if (server_is_stopping(loop->server))
                loop->answer.keep_alive = false;
        answer_complete(&loop->answer, r != 0);
        write_down(loop, connection, head);
}

void request_refused(struct loop *loop, struct connection *connection)
{
        loop->latest = 0;
        write_down(loop, connection, NULL);
}
