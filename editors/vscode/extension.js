// The extension: starts the language server, and starts it anew when the setting changes.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { serverCommand, documents, watched } = require("./server.js");

let client;

async function start() {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const command = vscode.workspace.getConfiguration("sagadsl").get("command");
  client = new LanguageClient("sagadsl", "sagadsl", serverCommand(command, folder), {
    documentSelector: documents.map((pattern) => ({ scheme: "file", pattern })),
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher(watched) },
  });
  try {
    await client.start();
  } catch (error) {
    const advice = "Is `sagadsl[lsp]` installed? The setting `sagadsl.command` names the command.";
    vscode.window.showErrorMessage(`\`${command.join(" ")}\` does not start: ${error.message}. ${advice}`);
  }
}

async function stop() {
  const ending = client;
  client = undefined;
  await ending?.dispose();
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("sagadsl.restart", restart),
    vscode.commands.registerCommand("sagadsl.reread", () =>
      client?.sendRequest("workspace/executeCommand", { command: "sagadsl.rereadActivities", arguments: [] }),
    ),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("sagadsl.command")) return restart();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
