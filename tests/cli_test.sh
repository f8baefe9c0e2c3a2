#!/bin/bash
# usage: tests/cli_test.sh PROGRAM      The command line as a person meets it. Oracle: the promises of --help and README.
set -u
lyceum=${1:?usage: tests/cli_test.sh build/lyceum}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
passed=0 failed=0

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

echo "command line: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
