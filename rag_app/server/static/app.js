// Starts the page: its parts, the API key, and the watch on the server.

import { api, onKeyNeeded } from "./api.js";
import { startChat } from "./chat.js";
import { loadDocuments, startDocuments } from "./documents.js";
import { $, composing, line, modal } from "./dom.js";
import { t, translate } from "./i18n.js";
import { startHistory } from "./history.js";
import { loadIndexes, startIndexes } from "./indexes.js";
import { libraryError, startPanels } from "./panels.js";
import { startSettings } from "./settings.js";
import { startSummary } from "./summary.js";
import { startUploads } from "./uploads.js";
import { startViewer } from "./viewer.js";
import { startWelcome } from "./welcome.js";

const WATCH_MS = { ready: 30_000, waiting: 1500 };

let loaded = false;

async function askForKey(wrong) {
  line($("key-error"), wrong ? t("keyWrong") : null);
  $("api-key").value = "";
  const answer = await modal($("key-dialog"));
  return answer === "yes" ? $("api-key").value.trim() : null;
}

/** Enter in the key field means the key, not the first button of the form. */
function startKeyField() {
  $("api-key").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || composing(event)) return;
    event.preventDefault();
    $("key-dialog").close("yes");
  });
}

/** Look after the server: say when it is away or still loading, and go on when it is back. */
async function watch(before = null) {
  const { status, error } = await api.health();
  const notices = {
    offline: t("offline"),
    loading: t("modelLoading"),
    failed: t("modelFailed", { reason: error }),
  };
  line($("notice"), notices[status]);
  $("notice").dataset.status = status;
  if (status !== "offline" && (!loaded || before === "offline")) await load();
  setTimeout(watch, status === "ready" ? WATCH_MS.ready : WATCH_MS.waiting, status);
}

async function load() {
  try {
    await loadIndexes();
    loaded = true;
  } catch (error) {
    libraryError(error.message);
    loaded = error.status === 401;
  }
}

translate();
onKeyNeeded(askForKey);
startPanels();
startKeyField();
startSettings();
startChat();
startHistory();
startWelcome();
startSummary();
startViewer();
startIndexes();
startUploads();
startDocuments();
addEventListener("online", () => loaded && loadDocuments());
watch();
