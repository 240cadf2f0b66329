package org.edgeslm;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;

/**
 * What is known of a model: assets/edgeslm/ID/model.properties, the manifest of the bundle flattened with dots. Every
 * getter throws BadModelException, with the entry's name, where it is missing or no number.
 */
final class ModelProperties {
    static final String ROOT = "edgeslm/";
    private static final int FORMAT = 1;

    /** Its path in the assets, with a slash at the end. */
    final String folder;

    private final Properties entries;

    private ModelProperties(String folder, Properties entries) {
        this.folder = folder;
        this.entries = entries;
    }

    /** The model of that id; of null, the first one of the library. */
    static ModelProperties open(Assets assets, String id) throws EdgeSlmException {
        String chosen = id;
        if (chosen == null) {
            Properties library = read(assets, ROOT + "models.properties");
            chosen = new ModelProperties(ROOT, library).text("default");
        }
        String folder = ROOT + chosen + "/";
        ModelProperties found = new ModelProperties(folder, read(assets, folder + "model.properties"));
        int format = found.number("format");
        if (format > FORMAT) {
            throw new BadModelException(
                    folder + "model.properties has format " + format + "; this library reads up to " + FORMAT);
        }
        return found;
    }

    /** The ids of all models, in order. */
    static List<String> ids(Assets assets) throws EdgeSlmException {
        return new ModelProperties(ROOT, read(assets, ROOT + "models.properties")).texts("models");
    }

    boolean has(String name) {
        return entries.getProperty(name) != null;
    }

    String text(String name) throws BadModelException {
        String found = entries.getProperty(name);
        if (found == null) {
            throw new BadModelException(folder + "model.properties has no entry " + name);
        }
        return found;
    }

    /** null where there is no such entry. */
    String textOrNull(String name) {
        return entries.getProperty(name);
    }

    int number(String name) throws BadModelException {
        return parsed(name, text(name));
    }

    boolean flag(String name) throws BadModelException {
        return text(name).equals("true");
    }

    /** What stands between commas; an empty list for an empty entry. */
    List<String> texts(String name) throws BadModelException {
        List<String> parts = new ArrayList<>();
        String found = text(name);
        for (int start = 0; !found.isEmpty() && start <= found.length(); ) {
            int comma = found.indexOf(',', start);
            int end = comma < 0 ? found.length() : comma;
            parts.add(found.substring(start, end).trim());
            start = end + 1;
        }
        return parts;
    }

    int[] numbers(String name) throws BadModelException {
        List<String> parts = texts(name);
        int[] numbers = new int[parts.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = parsed(name, parts.get(i));
        }
        return numbers;
    }

    List<String> labels() throws BadModelException {
        int count = number("labels.count");
        List<String> labels = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            labels.add(text("labels." + i));
        }
        return Collections.unmodifiableList(labels);
    }

    /** Path in the assets of a file of the model, "model" or "tokenizer". */
    String file(String which) throws BadModelException {
        return folder + text(which + ".file");
    }

    private int parsed(String name, String text) throws BadModelException {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException error) {
            throw new BadModelException(folder + "model.properties: " + name + " is no number: " + text);
        }
    }

    private static Properties read(Assets assets, String name) throws EdgeSlmException {
        Properties entries = new Properties();
        try (InputStream content = assets.open(name)) {
            entries.load(content);
        } catch (IOException | IllegalArgumentException error) { // the latter: an escape that is cut
            throw new BadModelException(name + " cannot be read: " + error.getMessage());
        }
        return entries;
    }
}
