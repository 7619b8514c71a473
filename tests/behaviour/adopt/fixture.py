#!/usr/bin/env python3
"""Makes the SQLite files that tests read, all of them with the schema of Flowise 3.1.4 as far as it is read:
flowise.sqlite beside this file, and small ones for tests/fuzz/corpus/sqlite. Run it again after a change here.

The credential was encrypted by Flowise's own library (crypto-js) with the key in encryption.key.
"""

import json
import os
import sqlite3

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../../..")
CORPUS = os.path.join(ROOT, "tests/fuzz/corpus/sqlite")
KEY = "bGFiLWVuY3J5cHRpb24ta2V5LW9mLXRlc3Rz"
SEALED = "U2FsdGVkX19Dn5PHH7CNHVBZSofA5OpRO24j/BA39/3dqfWu1jmosH3DJLXlUkLQmP5IigK0Q7rpm6Ijj06rNQ=="
CREDENTIAL = "cd7344ad-e830-47b8-9592-a98db28b1b67"
WEB_KEY = "f594b7ef-5541-4d26-95a4-d7fddbcd2bdb"

SCHEMA = """
CREATE TABLE "chat_flow" ("id" varchar PRIMARY KEY NOT NULL, "name" varchar NOT NULL, "flowData" text NOT NULL,
  "deployed" boolean, "isPublic" boolean, "apikeyid" varchar, "chatbotConfig" text,
  "createdDate" datetime NOT NULL DEFAULT (datetime('now')), "type" VARCHAR(20) NOT NULL DEFAULT 'CHATFLOW');
CREATE TABLE "chat_message" ("id" varchar PRIMARY KEY NOT NULL, "role" varchar NOT NULL, "chatflowid" varchar NOT NULL,
  "content" text NOT NULL, "createdDate" datetime NOT NULL DEFAULT (datetime('now')), "chatId" VARCHAR NOT NULL,
  "sessionId" VARCHAR);
CREATE TABLE "credential" ("id" varchar PRIMARY KEY NOT NULL, "name" varchar NOT NULL, "credentialName" varchar NOT NULL,
  "encryptedData" text NOT NULL);
CREATE TABLE "apikey" ("id" varchar PRIMARY KEY NOT NULL, "apiKey" varchar NOT NULL, "apiSecret" varchar NOT NULL,
  "keyName" varchar NOT NULL);
CREATE TABLE "variable" ("id" varchar PRIMARY KEY NOT NULL, "name" text NOT NULL, "value" text NOT NULL, "type" varchar);
CREATE TABLE "tool" ("id" varchar PRIMARY KEY NOT NULL, "name" varchar NOT NULL, "func" text);
CREATE TABLE "execution" ("id" varchar PRIMARY KEY NOT NULL);
CREATE TABLE "upsertion_records" (
  uuid TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
  key TEXT NOT NULL,
  namespace TEXT NOT NULL,
  updated_at REAL NOT NULL,
  group_id TEXT,
  UNIQUE (key, namespace)
);
"""


def flow(name):
    with open(os.path.join(ROOT, "tests/flowise/flows", name + ".json")) as file:
        data = json.load(file)
    for node in data["nodes"]:
        if node["data"]["name"] == "chatOpenAI":
            node["data"]["credential"] = CREDENTIAL
            node["data"]["inputs"]["basepath"] = "http://127.0.0.1:13999/v1"
    return json.dumps(data)


def flowise(path):
    if os.path.exists(path):
        os.remove(path)
    database = sqlite3.connect(path)
    database.executescript("PRAGMA page_size = 1024;" + SCHEMA)
    # Flowise's migrations add columns so.
    database.execute('ALTER TABLE "chat_flow" ADD COLUMN "apiConfig" TEXT')
    rate = json.dumps({"rateLimit": {"status": True, "limitMax": 20, "limitDuration": 60}})
    origins = json.dumps({"allowedOrigins": ["https://shop.example.com/"]})
    flows = [
        ("11111111-1111-4111-8111-111111111111", "Shop: chat", flow("conversation-chain"), None, origins, rate),
        ("22222222-2222-4222-8222-222222222222", "Back office", flow("conversation-chain"), WEB_KEY, None, None),
        ("33333333-3333-4333-8333-333333333333", "Shop chat!", flow("llm-chain-vars"), None, None, None),
    ]
    for item in flows:
        database.execute(
            "INSERT INTO chat_flow (id, name, flowData, apikeyid, chatbotConfig, apiConfig) VALUES (?, ?, ?, ?, ?, ?)", item
        )
    database.execute("INSERT INTO credential VALUES (?, 'Models', 'openAIApi', ?)", (CREDENTIAL, SEALED))
    database.execute("INSERT INTO apikey VALUES (?, 'eAmGV-J2xcGP7xUOaSjjNRuf-opCCAFlLcDCXoboSqc', 's', 'Web shop')", (WEB_KEY,))
    database.execute("INSERT INTO variable VALUES ('v', 'userId', 'default-user', 'static')")
    database.execute("INSERT INTO tool VALUES ('t', 'weather', 'return 1')")
    database.execute("INSERT INTO execution VALUES ('e')")
    # A record manager adds a column to a table of before.
    database.execute('ALTER TABLE "upsertion_records" ADD COLUMN doc_id TEXT')
    records = "INSERT INTO upsertion_records (uuid, key, namespace, updated_at, group_id) VALUES (?, ?, ?, 1714557600, 'a.txt')"
    for number in range(3):
        database.execute(records, (f"u{number}", f"key-{number}", flows[0][0]))
    said = [("userMessage", "My name is Ann."), ("apiMessage", "Hello Ann."), ("userMessage", "And I like tea."), ("apiMessage", "Noted.")]
    for number, chatflow in enumerate(item[0] for item in flows):
        for turn, (role, text) in enumerate(said):
            row = (f"m{number}-{turn}", role, chatflow, text, f"2024-05-01 10:00:0{turn}", "ann-1", "ann-1")
            database.execute("INSERT INTO chat_message VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    database.commit()
    database.close()


def small(name, encoding):
    path = os.path.join(CORPUS, name)
    if os.path.exists(path):
        os.remove(path)
    database = sqlite3.connect(path)
    database.executescript(f"PRAGMA page_size = 512; PRAGMA encoding = '{encoding}';")
    database.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, [the content] text, number, content)")
    # Over many pages, some of them in rows that are longer than a page.
    for number in range(60):
        long = "lang-" * 500 if number % 20 == 7 else "grün"
        values = (number, f"{number} {long}", [None, 0, 1, -1, 200, -70000, 1 << 40, -(1 << 62), 2.5][number % 9], b"\x00\xff")
        database.execute("INSERT INTO things VALUES (?, ?, ?, ?)", values)
    database.execute("DELETE FROM things WHERE id % 7 = 3")
    database.execute("ALTER TABLE things ADD COLUMN late DEFAULT 5")
    database.commit()
    database.close()


with open(os.path.join(HERE, "encryption.key"), "w") as file:
    file.write(KEY)
flowise(os.path.join(HERE, "flowise.sqlite"))
for name, encoding in [("utf8", "UTF-8"), ("utf16le", "UTF-16le"), ("utf16be", "UTF-16be")]:
    small(name, encoding)
