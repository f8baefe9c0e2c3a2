#!/bin/bash
# usage: tests/cli_test.sh PROGRAM      The command line as a person meets it. Oracle: the promises of --help and README.
set -u
lyceum=${1:?usage: tests/cli_test.sh build/lyceum}
work=$(mktemp -d) && trap 'umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

check() { # SENTENCE CONDITION...
  local sentence=$1
  shift
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $sentence"; sed 's/^/    /' "$work/out" "$work/err" | head -n 12; fi
}
run() { "$lyceum" "$@" >"$work/out" 2>"$work/err" </dev/null; status=$?; }
# one line of error, after whatever progress was shown; nothing on stdout
one_line() { [ "$(grep -c '^lyceum: ' "$work/err")" = 1 ] && tail -n 1 "$work/err" | grep -q '^lyceum: ' && [ ! -s "$work/out" ]; }

run --help
check "--help lists the verbs" grep -q 'SUBCOMMANDS\|Subcommands' "$work/out"
verbs=$(sed -n '/[Ss][Uu][Bb][Cc][Oo][Mm][Mm][Aa][Nn][Dd][Ss]:/,$p' "$work/out" | sed -n 's/^  \([a-z][a-z_-]*\)  *.*/\1/p')
check "there are verbs" test "$(wc -w <<<"$verbs")" -ge 8
for verb in $verbs; do
  run "$verb" --help
  check "$verb --help ends with 0" test "$status" = 0
  check "$verb --help shows examples" grep -qiE 'examples?:|SUBCOMMANDS|Subcommands' "$work/out"
  run "$verb" --no-such-option
  check "$verb refuses an unknown option with words on stderr" test "$status" != 0 -a -s "$work/err"
done
run --version
check "--version says one" test "$status" = 0 -a -s "$work/out"
run no-such-verb
check "an unknown verb ends with 2" test "$status" = 2

refuses() { # WORDS ARGUMENTS...   exit code 1 or 2, one line on stderr that has the words
  local words=$1
  shift
  run "$@"
  check "'lyceum $*' fails" test "$status" = 1 -o "$status" = 2
  check "'lyceum $*' says it in one line with \"$words\"" one_line
  check "'lyceum $*' names what is wrong: $words" grep -q -- "$words" "$work/err"
}
mkdir "$work/empty" "$work/binary"
head -c 5000 /dev/urandom >"$work/binary/noise"
refuses "File does not exist: $work/none.toml; lyceum train --help" train "$work/none.toml"
refuses '--temp: wanted a number from 0 on, found "warm"' generate "$work/none" --prompt x --temp warm
refuses "lyceum tokenizer encode --help" tokenizer encode
refuses "$work/none" eval "$work/none" --data "$work/empty"
refuses "$work/none" generate "$work/none" --prompt x
refuses "$work/missing" quickstart --run "$work/run1" --text "$work/missing"
refuses "$work/empty" quickstart --run "$work/run2" --text "$work/empty"
refuses "binary" quickstart --run "$work/run3" --text "$work/binary"
printf '[train]\nlearning = 1\n' >"$work/bad.toml"
refuses "train.learning" train "$work/bad.toml"
printf '[model]\nn_experts = 4\ntop_k = 8\n[train]\nfolder = "x"\nsteps = 1\n' >"$work/shape.toml"
refuses "top_k" train "$work/shape.toml"

LYCEUM_ISA=reference run doctor
check "doctor runs at the reference level" test "$status" = 0
check "doctor says which level is in force" grep -q 'in force: reference' "$work/out"
run doctor --json
check "doctor --json is JSON with the paths of ops" grep -q '"paths"' "$work/out"
LYCEUM_ISA=nonsense run doctor
check "an unknown LYCEUM_ISA is named" grep -q nonsense "$work/err"

# ---- benchmarks, a fraction of a second each; times are never asserted ----
for verb in products ops routers families load step; do
  run bench "$verb" --help
  check "bench $verb --help shows examples" grep -q 'Examples:' "$work/out"
done
run bench products --shape narrow --seconds 0.1 --json "$work/products.json"
check "bench products shows every product with its share of the peak" test "$(grep -c ' of peak ' "$work/out")" = 6
if command -v python3 >/dev/null; then
  check "and writes what it shows as JSON" python3 -c '
import json, sys
found = json.load(open(sys.argv[1]))
assert found["level"] and found["threads"] > 0 and len(found["cases"]) == 7, found
assert all(c["samples"] > 0 and 0 < c["median"] <= c["best"] for c in found["cases"]), found' "$work/products.json"
else
  skipped=$((skipped + 1))
fi
run bench ops --case softmax --seconds 0.05
check "bench ops --case takes the cases of that name" test "$(grep -c GB/s "$work/out")" = 1
check "and holds them against the memory's speed" grep -q '^softmax.* of updating' "$work/out"
run bench routers softmax_top_k hash --tokens 64 --width 32 --d-ff 16 --experts 8 --top-k 2 --seconds 0
check "bench routers has a row for each with its share of the layer" test "$(grep -cE '^(softmax_top_k|hash) .* %' "$work/out")" = 2
LYCEUM_THREADS=64 run bench ops --case softmax --seconds 0
check "bench works with more threads than cores" grep -q '64 threads' "$work/out"
LYCEUM_ISA=nonsense refuses 'LYCEUM_ISA: wanted .*, found "nonsense"' bench ops --case softmax
refuses 'wanted a shape: small, .* head, found "nonsense"' bench products --shape nonsense
refuses 'wanted part of the name of a case, found "nonsense"' bench ops --case nonsense
refuses "wanted .* of memory for 100000 experts" bench products --shape olmoe --experts 100000
refuses "wanted .* of memory for a head of 8192" bench products --shape head --width 8192 --vocab 16000000
refuses "wanted .* of memory for experts" bench routers --tokens 16000000 --width 16384
refuses "nonsense" bench routers nonsense
refuses "nonsense" bench families nonsense
refuses "$work/none/olmoe.toml, found none" bench families --recipes "$work/none"
refuses "wanted .* of memory for a step of small" bench step --length 10000000
refuses 'wanted a number from 0 on, found "soon"' bench products --seconds soon
refuses "--experts" bench products --experts -3

# a tuned model in the small: weights of a golden case, words as tokens, a template of two lines
tuned=$work/tuned
cp -rL "$(dirname "$0")/goldens/olmoe" "$tuned"
cat >"$tuned/tokenizer.json" <<'END'
{"model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "<user>": 1, "<end>": 2, "hello": 3, "world": 4, "!": 5}},
 "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": [{"id": 1, "content": "<user>", "special": true, "normalized": false},
 {"id": 2, "content": "<end>", "special": true, "normalized": false}]}
END
printf '{%% for m in messages %%}<user>{{ m.content }}<end>{%% endfor %%}' >"$tuned/chat_template.jinja"
echo '[{"role": "user", "content": "hello <end> world"}]' >"$work/messages.json"
run tokenizer chat "$tuned" "$work/messages.json" --format ids
check "control tokens of a template are ids, those of a user are not" grep -qx '1 3 0 0 0 4 2' "$work/out"
run tokenizer chat "$tuned" "$work/messages.json" --format parts
check "tokenizer chat says whose a text is" grep -q '^user      "hello <end> world"' "$work/out"
run tokenizer inspect "$tuned"
check "tokenizer inspect says what it is made of" grep -q '^WordLevel, 6 ids' "$work/out"
run bench load "$tuned" --seconds 0.05
check "bench load opens and loads" grep -q '^load .* of updating' "$work/out"
refuses "No such file or directory" bench load "$work/none"
run generate "$tuned" -p 'hello world' -n 4 --temp 0
check "generate answers through the template" test "$status" = 0
check "generate says that it uses the template" grep -q 'chat template' "$work/err"
printf 'hello\nworld !\n\n' >"$work/typed"
"$lyceum" chat "$tuned" -n 4 <"$work/typed" >"$work/out" 2>"$work/err"
check "chat goes through two turns" test "$(wc -l <"$work/out")" = 2
printf '{{ raise_exception("no such roles") }}' >"$work/refusing.jinja"
refuses "no such roles" generate "$tuned" -p x --chat-template "$work/refusing.jinja"
printf 'a\n{{ b' >"$work/broken.jinja"
refuses "broken.jinja:2:1" generate "$tuned" -p x --chat-template "$work/broken.jinja"

# ---- a small run of its own: what goes wrong around it gets one line, and nothing is lost ----
here=$(cd "$(dirname "$0")/.." && pwd)
data=$work/data run=$work/runs/tiny
run data prepare --text "$here/docs" --vocab 512 --heldout 1KiB --out "$work/nothing"
check "data prepare says when nothing can be held out" grep -q 'nothing of domain docs is held out' "$work/err"
run data prepare --text "$here/docs" --vocab 512 --heldout 64KiB --out "$data"
check "data prepare makes shards" test "$status" = 0 -a -s "$data/tokens/train.idx" -a -s "$data/tokens/heldout.idx"
cat >"$work/tiny.toml" <<END
[model]
d_model = 32
n_layers = 2
n_heads = 2
d_ff = 16
n_experts = 4
top_k = 2
[data]
train = ["$data/tokens/train"]
held_out = ["$data/tokens/heldout"]
tokenizer = "$data/tokenizer"
sequence_length = 32
[train]
folder = "$run"
steps = 6
micro_batch = 2
[checkpoint]
every = 3
[evaluation]
tokens = 256
END
tiny=$work/tiny.toml
run doctor "$tiny"
check "doctor says what a recipe needs" grep -q '^memory .* of training state' "$work/out"
check "doctor says how long it will take" grep -q '^time     about .* 6 steps of 64 tokens' "$work/out"
refuses "the run needs" doctor "$tiny" --model.d_model=65536 --model.n_layers=100
refuses "the run needs" train "$tiny" --model.d_model=65536 --model.n_layers=100
run train "$tiny"
check "train ends with the checkpoint's path" grep -q "^checkpoint: $run/checkpoints/step-000006" "$work/out"
check "train says its need of memory before it starts" grep -q 'of training state' "$work/err"
check "train predicts its time before it starts" grep -q 'about .*6 steps of 64 tokens' "$work/err"
LYCEUM_THREADS=64 run train "$tiny" --train.folder="$work/runs/threads"
check "more threads than cores work" test "$status" = 0
check "and give the same bits" cmp -s "$run/checkpoint/model.safetensors" "$work/runs/threads/checkpoint/model.safetensors"
run replay "$run" --step 5
check "replay gives every logged number" grep -q '^every number equals' "$work/out"
check "from the checkpoint before" grep -q 'step 5, from .*step-000003' "$work/out"
refuses "it has steps 1 to 6" replay "$run" --step 7
run runs --root "$work/runs" list
check "runs list shows both" test "$(grep -c finished "$work/out")" = 2
run runs --root "$work/runs" compare tiny threads
check "runs compare says that nothing but folders differs" test "$status" = 0
run runs --root "$work/runs" plot tiny --metric worst_load --ascii
check "runs plot draws" grep -q worst_load "$work/out"
run analyze "$run" --data "$here/docs" --out "$work/page.html" --tokens 500
check "analyze takes all checkpoints of a run" grep -q '2 checkpoints' "$work/out"
check "and makes a page without a link to anywhere" bash -c "grep -q '</html>' '$work/page.html' && ! grep -qE '(src|href)=\"?(http|//)' '$work/page.html'"
run eval "$run" --data "$here/README.md" "$here/docs"
check "eval has a row for all" grep -qE '^all .* [0-9.]+$' "$work/out"
cp "$data"/tokens/train.* "$work"
truncate -s -10 "$work/train.bin"
refuses "truncated" train "$tiny" --train.folder="$work/runs/x" --data.train="[$work/train]"
refuses "does not divide" train "$tiny" --train.folder="$work/runs/x" --model.n_heads=3
refuses "would have no effect" train "$tiny" --train.folder="$work/runs/x" --optimizer.momentum=0.5
refuses "begun with another recipe" train "$tiny" --model.d_ff=32
refuses "wanted a file, found a device" generate "$run" -f /dev/null

# timeout sends the signal to the process and to its group: two signals are one wish
timeout -s INT 3 "$lyceum" train "$tiny" --train.folder="$work/runs/long" --train.steps=1000000 >"$work/out" 2>"$work/err" </dev/null
check "Ctrl-C saves" grep -qE 'stopped after step [0-9]+, saved in ' "$work/err"
again=$(sed -n 's/.*go on with: lyceum \(.*\)/\1/p' "$work/err")
check "and says how to resume" test -n "$again"
at=$(sed -n 's/.*stopped after step \([0-9]*\),.*/\1/p' "$work/err")
run ${again/steps=1000000/steps=$((${at:-0} + 2))}
check "which goes on from there" grep -q "resumed after step $at" "$work/err"

# two tensors that share bytes, and one that ends behind the file
model_file() { # HEADER
  printf "\\x$(printf %02x $((${#1} & 255)))\\x$(printf %02x $((${#1} >> 8)))\\0\\0\\0\\0\\0\\0" >"$tuned/model.safetensors"
  printf '%s12345678' "$1" >>"$tuned/model.safetensors"
}
rm -f "$tuned"/model*.safetensors "$tuned"/*.index.json
model_file '{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}'
refuses "overlaps" generate "$tuned" -p x
model_file '{"a":{"dtype":"U8","shape":[800],"data_offsets":[0,800]}}'
refuses "model.safetensors" generate "$tuned" -p x
sed -i 's/"num_experts_per_tok": *[0-9]*/"num_experts_per_tok": 99/' "$tuned/config.json"
refuses "top_k must be" generate "$tuned" -p x

# a disk that is full, and one that may only be read: small disks need root
mkdir "$work/disk"
if mount -t tmpfs -o size=300k tmpfs "$work/disk" 2>/dev/null; then
  refuses "a checkpoint takes" train "$tiny" --train.folder="$work/disk/run"
  head -c 1000000 /dev/zero >"$work/disk/full" 2>/dev/null
  refuses "No space left on device" data prepare --text "$here/docs" --out "$work/disk/data"
  rm -r "$work/disk"/*
  mount -o remount,ro,size=4m "$work/disk"
  refuses "choose a folder you may write to" train "$tiny" --train.folder="$work/disk/run"
  refuses "choose a folder you may write to" quickstart --run "$work/disk/run" --text "$here/docs"
  umount "$work/disk"
else
  skipped=$((skipped + 4))
fi

echo "command line: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
