// Says which command starts the language server. It knows nothing of Visual Studio Code, so that Node alone can test it.
"use strict";

const path = require("node:path");

/** The program and its arguments, in the folder that is open; a program with a path is looked for there. */
function serverCommand(command, folder) {
  const [program, ...args] = command;
  const isPath = program.includes("/") || program.includes("\\");
  return { command: isPath && folder ? path.resolve(folder, program) : program, args, options: { cwd: folder } };
}

const documents = ["**/*.saga.{yaml,yml}", "**/*.saga-test.{yaml,yml}"];
const watched = "**/{*.py,sagadsl.toml,pyproject.toml,*.saga.yaml,*.saga.yml}";

module.exports = { serverCommand, documents, watched };
