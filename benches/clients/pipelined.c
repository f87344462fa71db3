/* The best that RabbitMQ's C client can do: publishes with confirms in flight, and never waits
 * for a single one. Also declares and deletes the bench's queues, and measures other programs.
 *
 *   pipelined declare URL QUEUE quorum|classic
 *   pipelined delete URL QUEUE
 *   pipelined publish URL QUEUE WINDOW <lines
 *   pipelined measure COMMAND…      prints: seconds, CPU seconds, peak memory in KiB
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "pipelined: %s\n", what);
    exit(1);
}

static int measure(char **command) {
    struct timeval start, end;
    gettimeofday(&start, NULL);
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) < 0) die("wait");
    gettimeofday(&end, NULL);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
                 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("%.3f %.3f %ld\n", end.tv_sec - start.tv_sec + (end.tv_usec - start.tv_usec) / 1e6, cpu,
           usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static amqp_connection_state_t login(char *url) {
    struct amqp_connection_info info;
    amqp_default_connection_info(&info);
    if (amqp_parse_url(url, &info) != AMQP_STATUS_OK) die("the URL");
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (amqp_socket_open(socket, info.host, info.port)) die("no connection");
    amqp_rpc_reply_t reply =
        amqp_login(connection, info.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, info.user, info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("login refused");
    amqp_channel_open(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) die("no channel");
    return connection;
}

static unsigned long unconfirmed(unsigned long sent, amqp_frame_t *frame, unsigned long confirmed) {
    if (frame->frame_type != AMQP_FRAME_METHOD || frame->payload.method.id != AMQP_BASIC_ACK_METHOD)
        die("something else than a confirm");
    amqp_basic_ack_t *ack = frame->payload.method.decoded;
    (void)sent;
    /* Single confirms may come out of order: counted one by one, multiple ones by their tag. */
    return ack->multiple && ack->delivery_tag > confirmed ? ack->delivery_tag : confirmed + 1;
}

static void publish(amqp_connection_state_t connection, char *queue, unsigned long window) {
    amqp_confirm_select(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) die("no confirms");
    unsigned long sent = 0, confirmed = 0;
    struct timeval now = {0, 0};
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    amqp_frame_t frame;
    while ((size = getline(&line, &room, stdin)) > 0) {
        char id[32];
        amqp_basic_properties_t properties;
        memset(&properties, 0, sizeof properties);
        properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.delivery_mode = 2;
        snprintf(id, sizeof id, "bench.%lu", ++sent);
        properties.message_id = amqp_cstring_bytes(id);
        amqp_bytes_t body = {.len = size - (line[size - 1] == '\n'), .bytes = line};
        if (amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 1, 0, &properties,
                               body))
            die("publish");
        /* A look for confirms every so often, and a wait only when the window is full. */
        while (sent - confirmed >= window || sent % 64 == 0) {
            struct timeval *wait = sent - confirmed >= window ? NULL : &now;
            int status = amqp_simple_wait_frame_noblock(connection, &frame, wait);
            if (status == AMQP_STATUS_TIMEOUT) break;
            if (status != AMQP_STATUS_OK) die("connection lost");
            confirmed = unconfirmed(sent, &frame, confirmed);
            amqp_maybe_release_buffers(connection);
        }
    }
    while (confirmed < sent) {
        if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) die("connection lost");
        confirmed = unconfirmed(sent, &frame, confirmed);
        amqp_maybe_release_buffers(connection);
    }
}

int main(int count, char **arguments) {
    if (count >= 3 && !strcmp(arguments[1], "measure")) return measure(arguments + 2);
    if (count < 4) die("see the head of the source");
    amqp_connection_state_t connection = login(arguments[2]);
    amqp_bytes_t queue = amqp_cstring_bytes(arguments[3]);
    if (!strcmp(arguments[1], "declare")) {
        amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type"),
                                    .value = {.kind = AMQP_FIELD_KIND_UTF8,
                                              .value = {.bytes = amqp_cstring_bytes(arguments[4])}}};
        amqp_table_t table = {.num_entries = 1, .entries = &entry};
        amqp_queue_declare(connection, 1, queue, 0, 1, 0, 0, table);
    } else if (!strcmp(arguments[1], "delete")) {
        amqp_queue_delete(connection, 1, queue, 0, 0);
    } else {
        publish(connection, arguments[3], strtoul(arguments[4], NULL, 10));
    }
    if (amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) die("refused");
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    return 0;
}
