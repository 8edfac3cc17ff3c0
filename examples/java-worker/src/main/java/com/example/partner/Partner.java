package com.example.partner;

import io.temporal.activity.ActivityInterface;
import io.temporal.activity.ActivityMethod;

/** The activities under their names, as the definition writes them; each takes one JSON object and gives one. */
@ActivityInterface
public interface Partner {
  /** What is missing in the JSON is {@code null} or 0 here, so it is checked by hand. */
  record Credit(String account, long amount, String key) {}

  record Undo(String key) {}

  record Movement(String account, long balance, String key) {}

  record Undone(String key, boolean undone) {}

  /** Gives money to an account, once per key. */
  @ActivityMethod(name = "partner.credit")
  Movement credit(Credit in);

  /** Takes the money back that was given under a key, or nothing; the key is refused from then on. */
  @ActivityMethod(name = "partner.undo_credit")
  Undone undoCredit(Undo in);
}
