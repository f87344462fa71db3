#!/bin/bash
# Prepares a broker before it starts.
#
# Only a node without data looks for peers. If the first pod finds none, it forms
# a new cluster; the other pods wait for a broker to join. So there is never more
# than one cluster, whatever order they start in, and no need to ask the API
# server.
#
# The user is loaded at every start, not only into an empty database. So the
# password is always the one in the Secret, even if the data was kept from an
# earlier release or the Secret has changed.
#
# Reads SET_NAME (pods are SET_NAME-0, SET_NAME-1, ...), REPLICAS, PORT, and the
# user's name and password.
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
user=$(json "$RABBITMQ_DEFAULT_USER")
password=$(json "$RABBITMQ_DEFAULT_PASS")
(umask 077 && cat > "$home/user.json" <<END
{
  "users": [{"name": $user, "password": $password, "tags": "administrator"}],
  "vhosts": [{"name": "/"}],
  "permissions": [{"user": $user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]
}
END
)
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
