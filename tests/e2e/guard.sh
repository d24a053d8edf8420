# Starts the rest of the arguments, says its process id, and ends it with all it started once standard
# input closes: the kernel closes that when whoever started this goes, even if it is killed. All of
# this is one process group. The first argument is the log, the second how many seconds the process
# has to end by itself.
log=$1
grace=$2
shift 2
"$@" >>"$log" 2>&1 </dev/null &
server=$!
echo "$server"
cat >/dev/null
kill "$server"
( sleep "$grace"; kill -KILL 0 ) &
wait "$server"
kill -KILL 0
