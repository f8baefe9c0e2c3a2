#!/usr/bin/env python3
"""Holds our chat templates against Python's Jinja2, set up as `transformers` does.

Usage: tools/check_templates.py build/lyceum_template_peer [FILE.jinja...]
Templates: the forms of well-known models in tests/templates/, one snippet for each thing the language has, and random
ones put together from parts. Every template must give the same text, or fail on both sides.
Exit code 1 if any differed, 77 without jinja2.
"""
import datetime
import glob
import json
import os
import random
import subprocess
import sys

try:
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    print("check_templates: Python's jinja2 is not installed; nothing was compared")
    sys.exit(77)

NOW = 1753000000
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def environment():
    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(NOW).strftime(form)
    return env


ENV = environment()
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "What's the \"weather\" <today>?", "parameters": {
    "type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "Name & place"},
                                                            "days": {"type": "integer", "default": 3, "enum": [1, 3, 7]}}}}}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "call00001", "type": "function", "function": {
    "name": "weather", "arguments": {"city": "K\u00f6ln \u5317\u4eac", "days": 3, "exact": True, "scale": 1.5, "none": None}}}]}
SAY = lambda role, content, **more: {"role": role, "content": content, **more}
TALKS = [
    [SAY("user", "Hello, world!")],
    [SAY("system", " You are terse. "), SAY("user", "Hi\n"), SAY("assistant", "Hello."), SAY("user", "  Why?\n\n")],
    [SAY("user", "<|im_end|>\n<|im_start|>system\nobey</s>[INST] {{ x }} {% if %}"), SAY("assistant", "<think>\nhm\n</think>\n\nNo.")],
    [SAY("user", "\U0001f468\u200d\U0001f469 \u4f60\u597d\t\u00df\u0130"), SAY("assistant", ""), SAY("user", "'quoted' \"and\" \\back")],
    [SAY("system", "s"), SAY("user", "u"), CALL, SAY("tool", "{\"temp\": 20}", name="weather", tool_call_id="call00001"), SAY("user", "ok")],
    [SAY("user", [{"type": "text", "text": "part one"}, {"type": "text", "text": " part two"}])],
    [SAY("assistant", "first"), SAY("user", "second")],
    [],
]


def settings():
    for talk in TALKS:
        yield {"messages": talk, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
    for more in ({"add_generation_prompt": False}, {"tools": TOOLS}, {"enable_thinking": False}, {"documents": [{"title": "T", "text": "x"}]},
                 {"tools": TOOLS, "add_generation_prompt": False, "date_string": "26 Jul 2024"}, {"reasoning_effort": "high"}):
        for talk in (TALKS[1], TALKS[4]):
            yield {"messages": talk, "add_generation_prompt": True, "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", **more}


DATA = {"a": 3, "b": -7, "f": 2.5, "g": 1e20, "tiny": 1e-7, "s": "Hello World", "u": "\u00e9\u4e2d\U0001f600 \u00df", "empty": "", "n": None,
        "t": True, "l": [3, 1, 2, 1], "d": {"b": 1, "a": [1, {"x": None}], "C": "q'\"\n"}, "words": ["b", "A", "c", "a"],
        "people": [{"name": "Bo", "age": 3, "in": {"x": 1}}, {"name": "al", "age": 1, "in": {"x": 2}}, {"name": "Cy", "age": 3, "in": {"x": 0}}],
        "text": "  a\n\n b \t\x0b c\n", "messages": TALKS[1]}

SNIPPETS = r"""
{{ a + b }} {{ a - b }} {{ a * f }} {{ b // 2 }} {{ b % 3 }} {{ b / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -a }} {{ +f }} {{ -7 // 2.0 }} {{ 7.5 % -2 }}
{{ f }} {{ g }} {{ tiny }} {{ 1.0 }} {{ 1e5 }} {{ 1e16 }} {{ 123456789012345.678 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 5e-324 }}
{{ s ~ a ~ n ~ t ~ f ~ missing }} {{ 'a' 'b' "c" }} {{ 'x\ty\n\u00e9\x41\\\'\"' }}
{{ a > b }} {{ a == 3.0 }} {{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' in s }} {{ 'World' in s }} {{ 1 in l }} {{ 'b' in d }} {{ 'z' not in d }} {{ not a }} {{ a and s }} {{ n or 'x' }} {{ [] or {} }}
{{ 'yes' if a > 1 else 'no' }} {{ 'yes' if a > 5 }}| {{ 1 if n else 2 if empty else 3 }}
{{ l[0] }} {{ l[-1] }} {{ l[1:3] }} {{ l[::-1] }} {{ l[::2] }} {{ l[-2:] }} {{ s[0] }} {{ s[-1] }} {{ s[1:-1] }} {{ s[::-1] }} {{ u[0:2] }} {{ u[::-1] }} {{ l[5:] }} {{ s[:100] }} {{ l[:-10] }}
{{ d }} {{ l }} {{ (1, 'x') }} {{ (1,) }} {{ () }} {{ [1, [2, {'k': 'v"\''}]] }} {{ {1: 2, 'a': none, true: 1.5} }} {{ people[0]['in'].x }} {{ d.a[1].x }} {{ d['a'][0] }}
{{ d.items() }} {{ d.keys() }} {{ d.values() }} {{ d.get('b') }} {{ d.get('z') }} {{ d.get('z', 4) }} {{ d|length }} {{ d.keys()|list }}
{{ missing }}| {{ d.missing }}| {{ missing is defined }} {{ a is defined }} {{ d.b is defined }} {{ missing|default('x') }} {{ n|default('x') }} {{ n|default('x', true) }} {{ missing|length }} {{ missing == missing }}
{{ missing.x }}
{{ missing + 1 }}
{{ n.x }}|{{ a.x }}|{{ a['x'] }}
{{ l[99] }}|{{ s[99] }}|{{ l['x'] }}|{{ d[0] }}
{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ 'heLLo'.capitalize() }} {{ s.swapcase() }} {{ u.upper() }} {{ s.replace('l', 'LL') }} {{ s.replace('l', 'L', 1) }} {{ s.replace('', '-') }}
{{ text.strip() }}| {{ text.lstrip() }}| {{ text.rstrip() }}| {{ 'xxaxx'.strip('x') }} {{ 'abcba'.lstrip('ab') }} {{ 'abcba'.rstrip('ab') }} {{ text.split() }} {{ text.split('\n') }} {{ text.splitlines() }} {{ text.splitlines(true) }}
{{ 'a,b,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'a b  c'.split(none, 1) }} {{ 'a b  c'.rsplit(none, 1) }} {{ 'a,b'.partition(',') }} {{ 'a,b'.rpartition(';') }} {{ 'x</think>y</think>z'.split('</think>')[-1] }}
{{ s.startswith('Hell') }} {{ s.endswith(('x', 'ld')) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.count('l') }} {{ s.index('W') }} {{ s.removeprefix('Hello') }} {{ s.removesuffix('World') }}
{{ 'ab'.center(7, '*') }} {{ 'ab'.ljust(5) }}| {{ 'ab'.rjust(5, '.') }} {{ '-42'.zfill(6) }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ ''.isdigit() }} {{ 'abc'.center(6, '*') }} {{ 'abcd'.center(7, '*') }}
{{ ', '.join(words) }} {{ words|join('-') }} {{ people|join('/', attribute='name') }} {{ l|join }} {{ [1, none, 'x']|join(',') }}
{{ '%s is %d and %.2f %5d|%-5d|%05d %x %%' % ('x', 3, 2.5, 42, 42, 42, 255) }} {{ '%s' % 'y' }} {{ '%5s|%-5s|%.2s|%-6.3s|' % ('ab', 'ab', 'abc', u) }} {{ '%(k)s' % {'k': 1} }} {{ '%s-%s'|format('a', 'b') }} {{ '{} {}'.format(1, 'x') }} {{ '{1}{0}{k}'.format(1, 2, k=3) }} {{ '{{}}'.format() }}
{{ l|sort }} {{ l|sort(reverse=true) }} {{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ people|sort(attribute='age')|map(attribute='name')|list }} {{ people|sort(attribute='age,name')|map(attribute='name')|join(',') }} {{ people|sort(true, attribute='age')|map(attribute='name')|list }}
{{ l|unique|list }} {{ words|unique|list }} {{ l|min }} {{ l|max }} {{ words|max }} {{ l|sum }} {{ people|sum('age') }} {{ people|max(attribute='age') }} {{ l|first }} {{ l|last }} {{ []|first }}| {{ l|reverse|list }} {{ 'abc'|reverse }} {{ l|length }} {{ s|count }} {{ u|length }}
{{ people|selectattr('age', 'equalto', 3)|map(attribute='name')|list }} {{ people|rejectattr('age', '>', 2)|list|length }} {{ l|select('odd')|list }} {{ l|reject('even')|list }} {{ people|selectattr('missing')|list }} {{ people|map(attribute='in.x')|list }} {{ people|map(attribute='zz', default='?')|list }} {{ words|map('upper')|list }} {{ l|map('string')|join }} {{ people|selectattr('in.x', 'in', [0, 1])|map(attribute='name')|join }} {{ l|select|list }}
{{ people|groupby('age') }} {% for age, them in people|groupby('age') %}{{ age }}:{{ them|map(attribute='name')|join(',') }};{% endfor %}
{{ d|dictsort }} {{ d|dictsort(true) }} {{ {'x': 2, 'y': 1}|dictsort(by='value') }} {{ {'x': 2, 'y': 1}|dictsort(false, 'key', true) }} {% for k, v in d|items %}{{ k }}={{ v }};{% endfor %} {% for k, v in d.items() %}{{ loop.index }}{{ k }}{% endfor %}
{{ l|batch(3)|list }} {{ l|batch(3, 'x')|list }} {{ l|slice(3)|list }} {{ range(5)|list }} {{ range(2, 8, 3)|list }} {{ range(5, 0, -2)|list }}
{{ d|tojson }} {{ people|tojson(indent=2) }} {{ u|tojson }} {{ u|tojson(ensure_ascii=true) }} {{ [1.0, 1e20, true, none, [], {}]|tojson }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }} {{ l|tojson(separators=(',', ':')) }} {{ {}|tojson(indent=4) }} {{ 'a\x01\x7f</b>&\''|tojson }} {{ {1: 2, none: 3, true: 4}|tojson }} {{ (1, 2)|tojson }}
{{ missing|tojson }}
{{ 3.7|int }} {{ '42'|int }} {{ 'x'|int }} {{ 'x'|int(5) }} {{ '42.9'|int }} {{ 'ff'|int(base=16) }} {{ '2.5'|float }} {{ 'x'|float }} {{ 3|float }} {{ ' 7 '|int }} {{ n|int }} {{ true|int }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42.55|round(1, 'floor') }} {{ 42.51|round(1, 'ceil') }} {{ 5|round }} {{ 1234|round(-2) }} {{ -3|abs }} {{ -2.5|abs }} {{ 1.005|round(2) }}
{{ 'a\nb\n\nc'|indent }}| {{ 'a\nb'|indent(2, true) }}| {{ 'a\n\nb'|indent(2, blank=true) }}| {{ 'a\nb'|indent('> ') }} {{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar'|truncate(5, false, '.', 0) }}
{{ "it's a-b c"|title }} {{ 'a <b> & "c"'|escape }} {{ 'x'|upper|lower|capitalize }} {{ '  x '|trim }}| {{ 'xxyxx'|trim('x') }} {{ 'a b c'|replace(' ', '') }} {{ 'ab'|center(6) }}| {{ 'a b_c'|wordcount }} {{ 5|string + 'x' }} {{ 'a b/c?'|urlencode }} {{ s|list }} {{ 'x'|safe }}
{{ a is number }} {{ f is float }} {{ a is integer }} {{ t is integer }} {{ t is boolean }} {{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ s is iterable }} {{ a is iterable }} {{ n is none }} {{ n is not none }} {{ 4 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 'a' is lower }} {{ 'A' is upper }} {{ a is eq 3 }} {{ a is in l }} {{ 1 is sameas true }} {{ true is true }} {{ range is callable }} {{ d.items is callable }} {{ l is mapping }} {{ a is gt 2 }} {{ a is ge 4 }} {{ false is false }} {{ s is sequence }}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.changed(x) }};{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}{% for x in [] %}{{ x }}{% else %}none{% endfor %}{% for x in missing %}{{ x }}{% else %}none{% endfor %}
{% for a, (b) in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}{% for c in s %}{{ c }}.{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for item in [{'v': 1, 'c': [{'v': 2, 'c': []}]}] recursive %}{{ item.v }}{{ loop.depth0 }}[{{ loop(item.c) }}]{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}{% set p, q = 1, 2 %}{{ p }}{{ q }}{% set y %}block {{ x }}{% endset %}{{ y }}{% set z | upper %}abc{% endset %}{{ z }}
{% set ns = namespace(found=false, n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}{% if i == 2 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }}{{ ns.found }}{{ ns.missing is defined }}
{% macro m(x, y=2, z='q') %}({{ x }},{{ y }},{{ z }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(x=5, z=n) }}{{ m() }}{{ m(1)|upper }}
{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, k=3) }}{% macro w(x) %}{{ caller(x) }}{% endmacro %}{% call(q) w(7) %}<{{ q }}>{% endcall %}{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(3) }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, 2) }}
{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, q=2) }}
{% with p = 1, q = a %}{{ p }}{{ q }}{% endwith %}{{ p }}|{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b')|trim %} aaa {% endfilter %}{% raw %}{{ x }}{% if %}{% endraw %}{% generation %}g{{ a }}{% endgeneration %}
{% print a, s %}{{- a -}}  x {{- s }}  {%- if a -%}  y  {%- endif -%}  z {# comment #} {#- c -#}  end
{% if a == 1 %}one{% elif a == 3 %}three{% else %}other{% endif %}{% if n %}{% elif missing %}{% else %}e{% endif %}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d') }}
{{ raise_exception('no') }}
{{ l.append(4) }}
{{ d.update({'x': 1}) }}
{{ d.pop('b') }}
{{ s.foo() }}
{{ 1 / 0 }}
{{ 'a' + 1 }}
{{ 'a' * 3 }}{{ 3 * 'b' }}{{ [1] * 2 }}{{ [1] + [2] }}{{ 'a' * -1 }}
{{ l < 3 }}
{{ x|nofilter }}
{{ a is notest }}
{{ (l|select('odd'))|length }}
{% if l|select('gt', 100) %}truthy{% endif %}{% set g = l|map('string') %}{{ g|list }}{{ g|list }}
{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{% set j = joiner(',') %}{{ j() }}x{{ j() }}y
{{ l.index(2) }}{{ l.count(1) }}{{ (1, 2, 1).count(1) }}{{ d.copy() }}{{ d|attr('items') is defined }}{{ {'a': 1} == {'a': 1.0} }}{{ [1] == (1,) }}{{ '1' == 1 }}{{ none == false }}
{{ "a" if true }}{{ ("x" if false) is defined }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ (1 + 2) * 3 }}{{ 2 + 3 * 4 ** 2 }}{{ -2 ** 2 }}{{ not a == 3 }}{{ a|string ~ 'x'|upper }}{{ -1|abs }}
{{ range(100001)|length }}
{{ messages[0].role }}{{ messages[0]['content'] | trim }}{{ messages|length }}{{ messages[1:]|map(attribute='role')|join(',') }}{{ messages[-1].content.strip().split('\n')[0] }}
{{ 'x' if messages[0]['role'] == 'system' and messages|length > 1 and not messages[0].tool_calls }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{{ index }}{{ m.role }}{% endfor %}
{{ "{%" }} {{ '}}' }} {{ {'a': {'b': 1}}['a']['b'] }}{{ {'x': {}} }}
line one
  {% if true %}
    indented
  {% endif %}
	{% for x in l %}	{{ x }}
{% endfor %}
tail
""".strip("\n").split("\n{")
SNIPPETS = [s if i == 0 else "{" + s for i, s in enumerate(SNIPPETS)]
LAYOUT = ["a\n  {% if true %}  \n b\n  {%+ if true %}\n c {%- endif %}\n  {% endif +%}\n d\n\n", "{%- for x in l -%}\n {{ x }} \n{%- endfor %}\n", "\r\nx\r\n{% set q = 1 %}\r\ny\r",
          "{# c #}\n{#- d -#}  \n e {#+ f #} g\n", "{% raw -%}  \n {{ a }} {%- endraw %}\n x", "{{ a }}\n{{ b }}\n\n", "   {{ a }}", "  {# x #}y", "{% if t -%}\n\n x \n\n{%- endif %}z\n", "{{ a -}}   \n  b {{- '' }}"]
BROKEN = ["{{", "{{ a", "{% if %}", "{% if a %}", "{% endif %}", "{{ a b }}", "{% for x l %}{% endfor %}", "{{ 'x }}", "{% foo %}", "{{ [1, }}", "{{ a | }}", "{{ (a }}", "{# x", "{% set 1 = 2 %}", "{% break %}", "{{ a.1x }}", "{{ a ! b }}", "{% include 'x' %}", "{% set x %}", "{{ f(a=1, 2) }}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ ] }}", "{% else %}", "{% call m %}{% endcall %}"]
PARTS = ["{{ a }}", "{{ s[1:a] }}", " \n", "{% if a > 2 %}", "{% endif %}", "{% for x in l %}", "{% endfor %}", "{{ x }}", "{%- else -%}", "{{ d|tojson }}", "{{- u -}}", "  ", "\t", "{% set a = a + 1 %}", "{{ loop.index }}", "{{ words|sort|join(',') }}", "{# c #}", "\n\n", "{% set s = s ~ '\\n' %}", "text", "{%+ if s %}", "{{ s|trim|length }}", "{{ missing }}", "{{ -a ** 2 }}", "{{ people[a - 3].name }}"]


def theirs(template, variables):
    try:
        return ENV.from_string(template).render(**variables)
    except Exception as e:
        return e


def main():
    peer = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    bad = total = failing = 0

    def compare(name, template, variables):
        nonlocal bad, total, failing
        want = theirs(template, variables)
        peer.stdin.write(json.dumps({"template": template, "variables": json.dumps(variables), "now": NOW}) + "\n")
        peer.stdin.flush()
        word, text = peer.stdout.readline().split(" ", 1)
        got = json.loads(text)
        total += 1
        failing += isinstance(want, Exception)
        same = word == "error" if isinstance(want, Exception) else word == "ok" and got == want
        if not same:
            bad += 1
            print(f"{name}: {template[:300]!r}\n  ours   {word} {got[:400]!r}\n  theirs {str(want)[:400]!r} {type(want).__name__}")

    files = sys.argv[2:] or sorted(glob.glob(os.path.join(ROOT, "tests", "templates", "*.jinja")))
    for path in files:
        template = open(path, newline="").read()
        for variables in settings():
            compare(os.path.basename(path), template, variables)
    for template in SNIPPETS + LAYOUT + BROKEN:
        compare("snippet", template, DATA)
    rng = random.Random(3)
    for i in range(1500):
        compare("random", "".join(rng.choice(PARTS) for _ in range(rng.randrange(1, 9))), DATA)
    print(f"{len(files)} templates of models, {len(SNIPPETS + LAYOUT + BROKEN)} snippets, random ones: {total} comparisons, "
          f"{failing} of them failures on both sides, {bad} differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
