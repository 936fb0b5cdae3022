import java.nio.file.Path;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.*;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/** A Neo4j that listens for Bolt on loopback and lets one user in: Neo HOME IMPORTS PORT USER PASSWORD. */
public class Neo {
    public static void main(String[] said) throws Exception {
        var neo = new DatabaseManagementServiceBuilder(Path.of(said[0]))
            .setConfig(GraphDatabaseSettings.auth_enabled, true)
            .setConfig(GraphDatabaseSettings.load_csv_file_url_root, Path.of(said[1]))
            .setConfig(BoltConnector.enabled, true)
            .setConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", Integer.parseInt(said[2])))
            .setConfig(HttpConnector.enabled, false)
            .setConfig(HttpsConnector.enabled, false)
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(neo::shutdown));
        neo.database("system").executeTransactionally(
            "CREATE OR REPLACE USER " + said[3] + " SET PASSWORD '" + said[4] + "' CHANGE NOT REQUIRED");
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
