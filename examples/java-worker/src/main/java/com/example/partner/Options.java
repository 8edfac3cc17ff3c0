package com.example.partner;

import java.util.HashMap;
import java.util.Map;

/** The options of a command line, {@code --name value} each. */
final class Options {
  private final Map<String, String> given = new HashMap<>();

  Options(String[] words) {
    for (int at = 0; at + 1 < words.length; at += 2) {
      given.put(words[at], words[at + 1]);
    }
  }

  String get(String name, String otherwise) {
    return given.getOrDefault("--" + name, otherwise);
  }
}
