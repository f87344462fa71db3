//! The command of images that have `amqp-consume` but not workqueue-worker.

/// Consumes one item with `amqp-consume`, passes it to the program in the arguments, and acks it if
/// the program exits with 0. Exits with the program's exit code.
///
/// The wrapper works around two flaws of the tool (measured with rabbitmq-c 0.11). It exits with 0
/// even if its program failed: the pod would count as succeeded although its item was requeued. And
/// it dies of SIGPIPE if the program exits without reading its input. The `--` keeps `amqp-consume`
/// from parsing the program's own flags. The shell also keeps the URL, which holds the password,
/// out of the Job's manifest. As process 1, the shell has to pass SIGTERM on.
pub const CONSUME_ONE: &str = r#"dir=$(mktemp -d) || exit
trap 'kill $!' TERM
amqp-consume --url="$BROKER_URL" -q "$QUEUE" -c 1 -- /bin/sh -c '
  cat >"$0/item" && "$@" <"$0/item"; status=$?; echo $status >"$0/status"; exit $status
' "$dir" "$@" &
wait $! || exit
exit "$(cat "$dir/status")""#;
