#!/bin/bash
# Prepares a broker before it starts.
#
# Only a node without data looks for peers. If the first pod finds none, it forms
# a new cluster; the other pods wait for a broker to join. So there is never more
# than one cluster, whatever order they start in, and no need to ask the API
# server.
#
# The users are loaded at every start, not only into an empty database. So their
# passwords are always those in the Secrets, even if the data was kept from an
# earlier release or a Secret has changed.
#
# Workers with a token are known by its signature. Its key is that of the user
# who runs.
#
# Reads SET_NAME (pods are SET_NAME-0, SET_NAME-1, ...), REPLICAS, PORT, the names
# and passwords of the users, WORKERS_WRITE, to what workers may publish, and
# TOKEN_KEY and TLS_DISTRIBUTION, if there are tokens and if brokers use TLS among
# themselves.
set -eu
home=/var/lib/rabbitmq
me=$HOSTNAME
#
answers() {
  timeout 3 bash -c "exec 3<>/dev/tcp/$1/$PORT" 2>/dev/null
}
find_peer() {
  for ((i = 0; i < REPLICAS; i++)); do
    if [ "$SET_NAME-$i" != "$me" ] && answers "$SET_NAME-$i"; then
      echo "$SET_NAME-$i"
      return
    fi
  done
}
#
# Erlang requires that only the owner can read the cookie. A mounted Secret does
# not meet that.
rm -f "$home/.erlang.cookie"
(umask 077 && cat /run/workqueue/erlang-cookie > "$home/.erlang.cookie")
#
json() {
  text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"\n' "$text"
}
user() {
  printf '{"name": %s, "password": %s, "tags": "%s"}' "$(json "$1")" "$(json "$2")" "$3"
}
# What belongs to a queue. The workers' user makes it where other programs have
# declared the queue.
COMPANIONS='\.(failed|results|starts|workers)$'
permission() {
  printf '{"user": %s, "vhost": "/", "configure": %s, "write": %s, "read": ".*"}' \
    "$(json "$1")" "$(json "$2")" "$(json "$3")"
}
(umask 077 && cat > "$home/users.json" <<END
{
  "users": [
    $(user "$RABBITMQ_DEFAULT_USER" "$RABBITMQ_DEFAULT_PASS" administrator),
    $(user "$LOOK_USER" "$LOOK_PASS" monitoring),
    $(user "$RUN_USER" "$RUN_PASS" ""),
    $(user "$WORKERS_USER" "$WORKERS_PASS" "")
  ],
  "vhosts": [{"name": "/"}],
  "permissions": [
    $(permission "$RABBITMQ_DEFAULT_USER" ".*" ".*"),
    $(permission "$LOOK_USER" "^$" "^$"),
    $(permission "$RUN_USER" ".*" ".*"),
    $(permission "$WORKERS_USER" "$COMPANIONS" "$WORKERS_WRITE|$COMPANIONS")
  ]
}
END
)
tokens=
if [ -n "${TOKEN_KEY:-}" ]; then
  key="#{<<\"kty\">> => <<\"MAC\">>, <<\"alg\">> => <<\"HS256\">>, <<\"value\">> => <<$(json "$TOKEN_KEY")>>}"
  keys="{key_config, [{default_key, <<\"workers\">>}, {signing_keys, #{<<\"workers\">> => {map, $key}}}]}"
  tokens="{rabbitmq_auth_backend_oauth2, [{resource_server_id, <<\"workqueue\">>}, $keys]}"
fi
(umask 077 && echo "[$tokens]." > "$home/advanced.config")
#
# The broker's own tools connect like a peer.
if [ -n "${TLS_DISTRIBUTION:-}" ]; then
  tls=/etc/rabbitmq/tls
  ours="{certfile, \"$tls/tls.crt\"}, {keyfile, \"$tls/tls.key\"}, {cacertfile, \"$tls/ca.crt\"}, {verify, verify_peer}"
  echo "[{server, [$ours, {fail_if_no_peer_cert, true}]}, {client, [$ours]}]." > "$home/distribution.config"
  modules=$(erl -noinput -eval 'io:format("~s", [filename:dirname(code:which(inet_tls_dist))]), halt().')
  flags="-pa $modules -proto_dist inet_tls -ssl_dist_optfile $home/distribution.config"
  printf '%s="%s"\n' SERVER_ADDITIONAL_ERL_ARGS "$flags" CTL_ERL_ARGS "$flags" > "$home/rabbitmq-env.conf"
fi
#
peer=$me
if [ ! -e "$home/mnesia/rabbit@$me" ]; then
  peer=$(find_peer)
  until [ -n "$peer" ] || [ "$me" = "$SET_NAME-0" ]; do
    echo "waiting for a broker of $SET_NAME to join"
    sleep 2
    peer=$(find_peer)
  done
fi
echo "cluster_formation.classic_config.nodes.1 = rabbit@${peer:-$me}" > "$home/peers.conf"
